//! What a gateway does, asked of the stand-in and of a real Kong.
