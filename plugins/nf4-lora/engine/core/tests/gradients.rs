//! The training pass against finite differences, and its independence of how rows are batched.
#![allow(clippy::unwrap_used)]

use escada_engine_core::DropoutPlan;
use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::lora::Adapter;
use escada_engine_core::model::Model;
use escada_engine_core::pass::Pass;
use escada_engine_core::reference::Reference;
use escada_engine_core::testing::{random_adapter, random_model, tiny_shape};

type B = Reference;

/// Shared wherever rows have a common prefix; `rows` have none.
const SHARING: PrefixSharing = PrefixSharing::Always;

fn rows() -> Vec<TokenRow> {
    let row = |tokens: &[u32], labelled_from| TokenRow {
        tokens: tokens.to_vec(),
        labelled_from,
    };
    vec![
        row(&[1, 5, 9, 33, 2, 7, 20], 3),
        row(&[4, 8, 15], 1),
        row(&[36, 0, 3, 3, 3, 12, 30, 31, 6, 2, 11], 8),
    ]
}

struct Fixture {
    model: Model<B>,
    adapter: Adapter<B>,
    pass: Pass<B>,
}

fn fixture() -> Fixture {
    let shape = tiny_shape();
    let model = random_model(&Reference, shape.clone(), 7).unwrap();
    let adapter = random_adapter(&Reference, &shape, 3, 11).unwrap();
    Fixture {
        model,
        adapter,
        pass: Pass::new(&Reference, &shape).unwrap(),
    }
}

/// Mean loss and gradients of all rows, run in the given micro-batches.
fn loss_and_gradients(f: &mut Fixture, batches: &[Vec<&TokenRow>], dropout: DropoutPlan) -> (f64, Vec<f32>) {
    let labelled: usize = batches.iter().flatten().map(|r| r.labelled()).sum();
    let mut gradients = Reference.alloc(f.adapter.layout.len).unwrap();
    let mut total = 0.0;
    let mut batch = Batch::new(&Reference).unwrap();
    for (i, rows) in batches.iter().enumerate() {
        batch.pack(&Reference, rows, 4, SHARING).unwrap();
        let plan = DropoutPlan {
            micro_batch: i as u64,
            ..dropout
        };
        let weight = 1.0 / labelled as f32;
        total += f
            .pass
            .run(
                &Reference,
                &f.model,
                &f.adapter,
                plan,
                &batch,
                weight,
                &mut gradients,
            )
            .unwrap();
    }
    (total / labelled as f64, gradients)
}

/// Compares the slope along each tensor's gradient with a central difference.
fn check_tensors(rows: &[TokenRow], dropout: DropoutPlan) {
    let mut f = fixture();
    let all: Vec<Vec<&TokenRow>> = vec![rows.iter().collect()];
    let (_, gradients) = loss_and_gradients(&mut f, &all, dropout);
    let start = f.adapter.parameters.clone();
    for tensor in f.adapter.layout.parameters() {
        let range = tensor.offset..tensor.offset + tensor.rows * tensor.cols;
        let norm = gradients[range.clone()]
            .iter()
            .map(|g| f64::from(g * g))
            .sum::<f64>()
            .sqrt();
        assert!(norm > 1e-4, "{}: gradient {norm}", tensor.name);
        let step = 2e-3;
        let mut loss_at = |factor: f64| {
            let mut moved = start.clone();
            for i in range.clone() {
                moved[i] += (factor * step * f64::from(gradients[i]) / norm) as f32;
            }
            f.adapter.parameters = moved;
            loss_and_gradients(&mut f, &all, dropout).0
        };
        let slope = (loss_at(1.0) - loss_at(-1.0)) / (2.0 * step);
        let error = (slope - norm).abs() / norm;
        assert!(
            error < 5e-3,
            "{}: slope {slope}, gradient norm {norm}",
            tensor.name
        );
    }
}

#[test]
fn gradients_of_every_tensor_match_finite_differences() {
    check_tensors(&rows(), DropoutPlan::NONE);
}

#[test]
fn gradients_with_dropout_match_finite_differences() {
    check_tensors(
        &rows(),
        DropoutPlan {
            probability: 0.3,
            seed: 5,
            micro_batch: 0,
        },
    );
}

#[test]
fn one_batch_equals_accumulated_single_rows() {
    let mut f = fixture();
    let rows = rows();
    let (together, g1) = loss_and_gradients(&mut f, &[rows.iter().collect()], DropoutPlan::NONE);
    let single: Vec<Vec<&TokenRow>> = rows.iter().map(|r| vec![r]).collect();
    let (apart, g2) = loss_and_gradients(&mut f, &single, DropoutPlan::NONE);
    assert!((together - apart).abs() < 1e-6, "{together} {apart}");
    for (a, b) in g1.iter().zip(&g2) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

#[test]
fn gradients_stop_at_the_lowest_adapted_layer() {
    use escada_engine_core::lora::LoraLayout;
    let mut f = fixture();
    let layout = LoraLayout::new(&f.model.shape, |layer, _| (layer == 1).then_some((3, 1.5))).unwrap();
    let values = vec![0.1; layout.len];
    f.adapter = Adapter::new(&Reference, layout, &values).unwrap();
    let rows = rows();
    let (_, gradients) = loss_and_gradients(&mut f, &[rows.iter().collect()], DropoutPlan::NONE);
    assert!(gradients.iter().all(|g| g.is_finite()));
    assert!(gradients.iter().filter(|g| **g != 0.0).count() > gradients.len() / 2);
}

/// Rows with the first five tokens in common, which the loss never covers.
fn rows_of_one_task() -> Vec<TokenRow> {
    let with_prefix = |row: TokenRow| {
        let tokens = [7, 7, 1, 30, 2].into_iter().chain(row.tokens).collect();
        TokenRow {
            tokens,
            labelled_from: row.labelled_from + 5,
        }
    };
    rows().into_iter().map(with_prefix).collect()
}

#[test]
fn gradients_through_a_shared_prefix_match_finite_differences() {
    check_tensors(&rows_of_one_task(), DropoutPlan::NONE);
}

#[test]
fn a_shared_prefix_changes_nothing() {
    let mut f = fixture();
    let rows = rows_of_one_task();
    let mut batch = Batch::new(&Reference).unwrap();
    batch
        .pack(&Reference, &rows.iter().collect::<Vec<_>>(), 4, SHARING)
        .unwrap();
    assert_eq!((batch.prefix_tokens, batch.full_tokens - batch.tokens), (5, 10));
    let (together, g1) = loss_and_gradients(&mut f, &[rows.iter().collect()], DropoutPlan::NONE);
    // A batch of one row shares nothing.
    let single: Vec<Vec<&TokenRow>> = rows.iter().map(|r| vec![r]).collect();
    let (apart, g2) = loss_and_gradients(&mut f, &single, DropoutPlan::NONE);
    assert!((together - apart).abs() < 1e-6, "{together} {apart}");
    for (a, b) in g1.iter().zip(&g2) {
        assert!((a - b).abs() < 2e-6, "{a} {b}");
    }
}

#[test]
fn a_prefix_ends_before_the_first_output_with_a_target() {
    let row = |last: u32| TokenRow {
        tokens: vec![1, 2, 3, 4, last],
        labelled_from: 4,
    };
    let rows = [row(5), row(6)];
    let mut batch = Batch::new(&Reference).unwrap();
    batch
        .pack(&Reference, &rows.iter().collect::<Vec<_>>(), 4, SHARING)
        .unwrap();
    assert_eq!((batch.prefix_tokens, batch.tokens, batch.full_tokens), (3, 5, 8));
}
