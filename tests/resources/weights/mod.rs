//! What a received event takes in memory: for each kind the costliest one, found by search, in bytes really allocated.

mod genome;
mod page;
mod seeds;

use crate::support::own_process::done_alone;
use agora_chat::{Event, EventMask, fuzzing};
use genome::{Dice, Genome};

/// What an event takes at most for each byte it was read from, and beside that (docs/limits.md).
const KEPT: (i64, i64) = (16, 1024);

/// The same while it is read.
const READ: (i64, i64) = (64, 16 << 10);

/// What one meta costs: its bytes, what the event counts for, what it really takes, what reading it takes for a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    bytes: i64,
    counted: i64,
    kept: i64,
    peak: i64,
    mask: EventMask,
}

impl Cost {
    /// How much more memory than bytes it is, what any event takes apart.
    fn growth(&self) -> f64 {
        ((self.kept - KEPT.1).max(0) as f64 / self.bytes as f64)
            .max((self.peak - READ.1).max(0) as f64 / self.bytes as f64 / 4.0)
    }

    fn check(&self, what: &str) {
        assert!(self.kept <= self.counted, "{what}: counted too little: {self:?}");
        assert!(self.counted <= KEPT.0 * self.bytes + KEPT.1, "{what}: kept: {self:?}");
        assert!(self.peak <= READ.0 * self.bytes + READ.1, "{what}: while it is read: {self:?}");
    }
}

/// The name of the account, which all of its events share.
const NAME: i64 = 24;

fn cost(meta: &[u8]) -> Option<Cost> {
    let mut event: Option<Event> = None;
    let counted = allocation_counter::measure(|| event = fuzzing::event(meta));
    let event = event?;
    Some(Cost {
        bytes: meta.len() as i64,
        counted: event.weight() as i64,
        kept: counted.bytes_current - NAME,
        peak: counted.bytes_max as i64,
        mask: event.kind().mask(),
    })
}

/// Climbs from a seed to what costs most for each byte, and holds every step against what is promised.
fn climb(name: &str, seed: Genome, steps: usize) -> (Genome, Cost) {
    let mut dice = Dice::new(name);
    let first = cost(&seed.encode()).unwrap_or_else(|| panic!("{name} leads to no event"));
    first.check(name);
    let mut best = (seed, first);
    for _ in 0..steps {
        let mut next = best.0.clone();
        for _ in 0..1 + dice.below(3) {
            next.mutate(&mut dice);
        }
        let encoded = next.encode();
        if encoded.len() > 32 << 10 {
            continue;
        }
        let Some(cost) = cost(&encoded) else { continue };
        cost.check(name);
        if cost.mask == first.mask && cost.growth() > best.1.growth() {
            best = (next, cost);
        }
    }
    best
}

fn steps() -> usize {
    std::env::var("WEIGHT_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(150)
}

#[test]
fn the_costliest_event_of_each_kind_takes_no_more_than_was_promised() {
    if done_alone() {
        return;
    }
    let mut missing = EventMask::INBOUND.bits();
    for (name, seed) in seeds::all() {
        let (_, cost) = climb(name, seed, steps());
        println!("{name}: {:.1} {cost:?}", cost.growth());
        missing &= !cost.mask.bits();
    }
    assert_eq!(EventMask::from_bits(missing), EventMask::NONE, "every kind is tried");
}
