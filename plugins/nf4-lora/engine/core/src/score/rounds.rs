//! What is computed together when continuations are scored: groups of requests, slots, rounds.

use super::ScoreRequest;
use crate::decoder::PASS_TOKENS;

/// Tokens that the slots of a call hold together, or one longer sequence: what does not fit goes into a further round.
const SLOTS_TOKENS: usize = 16 * PASS_TOKENS;

/// Slots a call may have, each of `slot_tokens`; at least one.
pub(super) fn most_slots(slot_tokens: usize) -> usize {
    (SLOTS_TOKENS / slot_tokens.max(1)).max(1)
}

/// Requests that are computed together: as many as fit one pass and have a slot each, at least one.
pub(super) fn groups(requests: &[ScoreRequest], prefix: usize, most_slots: usize) -> Vec<&[ScoreRequest]> {
    let size =
        |r: &ScoreRequest| (r.prompt.len() - prefix).max(r.continuations.iter().map(Vec::len).sum::<usize>());
    let (mut groups, mut from, mut sum) = (Vec::new(), 0, 0);
    for (i, request) in requests.iter().enumerate() {
        if i > from && (sum + size(request) > PASS_TOKENS || i - from == most_slots) {
            groups.push(&requests[from..i]);
            (from, sum) = (i, 0);
        }
        sum += size(request);
    }
    if from < requests.len() {
        groups.push(&requests[from..]);
    }
    groups
}

/// A continuation of a group's request.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) request: usize,
    pub(super) continuation: usize,
}

pub(super) fn places(group: &[ScoreRequest]) -> Vec<Place> {
    let of = |(request, q): (usize, &ScoreRequest)| {
        (0..q.continuations.len()).map(move |continuation| Place {
            request,
            continuation,
        })
    };
    group.iter().enumerate().flat_map(of).collect()
}

/// Slots with which a group needs one round: each request's own, which its first continuation takes over, and one for each
/// further continuation of more than one token.
pub(super) fn wanted_slots(group: &[ScoreRequest]) -> usize {
    let long = |q: &ScoreRequest| q.continuations.iter().filter(|c| c.len() > 1).count();
    group.iter().map(|q| long(q).max(1)).sum()
}

/// Slots of the continuations of the next round, given (request, tokens) of all that are left: at least one, however long,
/// then as many as fit a pass and have a slot, their request's own or one behind those of the `requests`.
pub(super) fn round(rest: &[(usize, usize)], requests: usize, slots: usize) -> Vec<usize> {
    let (mut own, mut further) = (vec![true; requests], requests..slots);
    let (mut chosen, mut sum) = (Vec::new(), 0);
    for (request, tokens) in rest {
        sum += tokens;
        if sum > PASS_TOKENS && !chosen.is_empty() {
            break;
        }
        let slot = if std::mem::take(&mut own[*request]) {
            Some(*request)
        } else {
            further.next()
        };
        match slot {
            Some(slot) => chosen.push(slot),
            None => break,
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_takes_own_slots_first_and_no_more_than_there_are() {
        let rest = [(0, 3), (0, 3), (1, 3), (1, 3), (1, 3)];
        assert_eq!(round(&rest, 2, 5), [0, 2, 1, 3, 4]);
        assert_eq!(round(&rest, 2, 3), [0, 2, 1]);
        assert_eq!(round(&rest, 2, 2), [0]);
        assert_eq!(round(&rest[3..], 2, 2), [1]);
        // However long, the first; then nothing that would not fit the pass.
        assert_eq!(round(&[(0, 9999), (1, 1)], 2, 2), [0]);
        assert_eq!(round(&[(0, PASS_TOKENS), (1, 1)], 2, 2), [0]);
        assert_eq!(round(&[(0, PASS_TOKENS - 1), (1, 1)], 2, 2), [0, 1]);
    }

    #[test]
    fn slots_hold_a_bounded_number_of_tokens() {
        let request = |continuations: usize, tokens: usize| ScoreRequest {
            prompt: vec![1; 4],
            continuations: vec![vec![1; tokens]; continuations],
        };
        // One token each: the prompt's output weighs them, no slot is needed.
        assert_eq!(wanted_slots(&[request(100, 1), request(0, 1)]), 2);
        assert_eq!(wanted_slots(&[request(100, 2), request(3, 1)]), 101);
        let all: Vec<ScoreRequest> = (0..7).map(|_| request(2, 2)).collect();
        let sizes: Vec<usize> = groups(&all, 0, 3).iter().map(|group| group.len()).collect();
        assert_eq!(sizes, [3, 3, 1]);
    }
}
