//! The work for a received byte is bounded, whatever it is a byte of.

#[path = "../../benches/scripted/costly.rs"]
mod costly;
#[path = "../../benches/scripted/mod.rs"]
mod scripted;

use std::time::{Duration, Instant};

use crate::support::own_process::done_alone;
use costly::{ALL, Costly, LINKS, take};

/// Allocations, and bytes allocated in all, for a frame of about so many bytes; and its length.
fn counted(kind: &Costly, length: usize) -> (u64, u64, u64) {
    let frame = (kind.frame)(length);
    let mut engine = (kind.ready)();
    let counted = allocation_counter::measure(|| drop(take(&mut engine, &frame)));
    (counted.count_total, counted.bytes_total, frame.len() as u64)
}

#[test]
fn what_a_byte_of_the_costliest_frames_allocates_is_bounded_however_many_there_are() {
    if done_alone() {
        return;
    }
    for kind in &ALL {
        // One bound for all lengths: what grows faster than the bytes breaks it at one of them.
        for length in [1 << 14, 1 << 16, 1 << 18, 1 << 20] {
            let (count, bytes, long) = counted(kind, length);
            println!("{}: {count} allocations of {bytes} bytes for {long}", kind.name);
            assert!(count <= 500 + 2 * long, "{}: {count} allocations for {long} bytes", kind.name);
            // A queue is known from then on, up to 4096 of them: what it is named by is the least of it.
            let each = if kind.name == "queues in an answer" { 430 } else { 75 };
            assert!(bytes <= (64 << 10) + each * long, "{}: {bytes} bytes allocated for {long}", kind.name);
        }
    }
    for (name, link) in LINKS {
        let bytes = link(1 << 18);
        let counted = allocation_counter::measure(|| assert!(agora_chat::fuzzing::framing(&bytes, 4 << 20) > 0));
        assert!(counted.count_total <= 100, "{name}: {} allocations", counted.count_total);
    }
}

#[test]
fn texts_of_mebibytes_in_refusals_and_kicks_take_no_time() {
    if done_alone() {
        return;
    }
    for kind in ALL.iter().filter(|kind| kind.name.ends_with("of no width") && kind.name != "a text of no width") {
        let frame = (kind.frame)((4 << 20) - 200);
        let mut engine = (kind.ready)();
        let begun = Instant::now();
        let out = take(&mut engine, &frame);
        let took = begun.elapsed();
        // It was 0.7 to 3.3 s where the texts were worked on whole, in a release build.
        assert!(took < Duration::from_secs(2), "{}: {took:?}", kind.name);
        let shown = format!("{out:?}");
        assert!(shown.len() < 40_000, "{}: {} bytes are shown", kind.name, shown.len());
    }
}

#[test]
fn what_waits_of_refused_sends_is_what_is_shown_of_them_however_long_their_reasons_are() {
    if done_alone() {
        return;
    }
    const SENDS: usize = 100;
    let kind = ALL.iter().find(|kind| kind.name == "a refused send of no width").unwrap();
    let frame = (kind.frame)(1 << 20);
    let mut engines: Vec<_> = (0..SENDS).map(|_| (kind.ready)()).collect();
    // As where nobody takes the outcomes, or a log stands still: everything is kept.
    let mut kept = Vec::new();
    let counted = allocation_counter::measure(|| {
        kept.extend(engines.iter_mut().map(|engine| take(engine, &frame)));
    });
    assert_eq!(kept.iter().filter(|out| format!("{out:?}").contains('…')).count(), SENDS, "a reason was not cut");
    let each = counted.bytes_current / SENDS as i64;
    // The list of what the engine asks for is most of it; a reason was a mebibyte.
    assert!(each < 32 << 10, "{each} bytes are kept of each refused send");
}
