//! What a step does, as data and words; `perform` carries it out.
