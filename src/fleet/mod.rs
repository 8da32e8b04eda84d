//! The living picture: inventory, bundles, last survey, connections.
