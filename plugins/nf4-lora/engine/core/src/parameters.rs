//! The tensors that a training changes, and where they lie in its flat parameter buffer.

/// What a tensor is to the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A matrix of a linear layer or of an adapter.
    Matrix,
    /// An embedding: its moments stay f32 with an 8-bit optimizer, as in transformers' Trainer.
    Embedding,
    /// A norm's weight or a bias: no weight decay, as in transformers' Trainer.
    Vector,
}

/// Name, offset and shape of one trainable tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// As in the file that the training writes, without PEFT's prefix.
    pub name: String,
    /// First element in the flat buffer.
    pub offset: usize,
    /// 1 for a vector.
    pub rows: usize,
    pub cols: usize,
    pub role: Role,
}

impl Parameter {
    /// Elements.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Never true for a parameter of a layout.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[cols]` of a vector, `[rows, cols]` of a matrix.
    pub fn shape(&self) -> Vec<usize> {
        match self.role {
            Role::Vector => vec![self.cols],
            Role::Matrix | Role::Embedding => vec![self.rows, self.cols],
        }
    }
}
