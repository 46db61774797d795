"""Running a bundle's graphs: `select.open_engine` picks the engine, `base.Engine` is what the rest of the service knows of it."""
