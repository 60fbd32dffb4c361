//! CPU back end.
