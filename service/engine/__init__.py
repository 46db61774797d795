"""Running a bundle's graphs: `select.open_engine` picks the engine, `batcher.Batcher` fills its batches from many clips."""
