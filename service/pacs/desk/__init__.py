"""The administrator's desk: what came and went, what waits and why, doing it again, and the doctor."""
