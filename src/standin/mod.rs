//! The stand-in gateway: behaves like Kong where muster looks, and says that it is none.
