//! A throw-away fleet to try everything on.
