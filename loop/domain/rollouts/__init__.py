"""A model beside the champion, and when it is taken back."""
