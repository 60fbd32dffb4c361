//! Model, training and generation over a `Backend`.
