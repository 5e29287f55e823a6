//! What a SimpleGrid plugin is written against.
