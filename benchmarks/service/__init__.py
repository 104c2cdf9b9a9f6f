"""The service under load: its model, its pictures, the load, the systems compared, and what is judged."""
