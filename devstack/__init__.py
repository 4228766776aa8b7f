"""The local stack: a real broker, Connect worker and database, and a mock of AWS, on loopback."""
