"""From what people have (folders, DICOM, published sets, polygons) to one manifest that `read_manifest` accepts."""
