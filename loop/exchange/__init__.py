"""Data sets in and out: readers for Pascal VOC, COCO and YOLO, the import, the export."""
