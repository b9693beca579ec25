//! See `.ci/long fleet`.
