//! Where the search begins: for each kind of event those that have a part that can be repeated.

use crate::weights::genome::Genome::{self, Fields, Long, Many, Number, Text};

const STATISTIC: u64 = 0;
const CHAT: u64 = 1;
const MUC: u64 = 2;
const ROSTER: u64 = 3;
const NOTIFY: u64 = 5;

fn text(tag: u32, text: &str) -> Genome {
    Text(tag, text.to_owned())
}

fn many(field: Genome, times: usize) -> Genome {
    Many(Box::new(field), times)
}

fn long(tag: u32, before: &str, part: &str, after: &str, times: usize) -> Genome {
    Long(tag, before.to_owned(), part.to_owned(), after.to_owned(), times)
}

fn jid(tag: u32, name: &str) -> Genome {
    Fields(tag, vec![text(2, name)])
}

/// A meta of this name space.
fn meta(namespace: u64, payload: Genome) -> Genome {
    Fields(0, vec![Number(1, 7), jid(2, "bob"), jid(3, "alice"), Number(5, namespace), payload])
}

fn body(namespace: u64, fields: Vec<Genome>) -> Genome {
    meta(namespace, Fields(6, fields))
}

/// A chat body of this type with this content.
fn chat(kind: u64, content: Vec<Genome>, more: Vec<Genome>) -> Genome {
    let mut fields = vec![Number(1, kind), Fields(4, content)];
    fields.extend(more);
    body(CHAT, fields)
}

fn attribute(tag: u32, kind: u64, value: &[Genome]) -> Genome {
    Fields(tag, [&[text(1, "#"), Number(2, kind)], value].concat())
}

fn muc(operation: u64, more: Vec<Genome>) -> Genome {
    let mut fields = vec![jid(1, "9001"), Number(2, operation)];
    fields.extend(more);
    body(MUC, fields)
}

fn info(operation: u64, before: &str, part: &str, after: &str) -> Genome {
    muc(operation, vec![Fields(12, vec![long(2, before, part, after, 500)])])
}

fn notify(before: &str, part: &str, after: &str) -> Genome {
    meta(NOTIFY, long(6, before, part, after, 500))
}

fn extras(before: &str, part: &str, after: &str) -> Genome {
    chat(1, vec![text(2, "hi")], vec![long(9, before, part, after, 500)])
}

/// A number of its kind, with words after it.
fn typed(number: u64, tags: &[u32]) -> Genome {
    let words = tags.iter().map(|tag| text(*tag, "x"));
    chat(1, std::iter::once(Number(1, number)).chain(words).collect(), vec![])
}

pub(crate) fn all() -> Vec<(&'static str, Genome)> {
    let hi = || vec![text(2, "hi")];
    vec![
        ("text", chat(1, vec![long(2, "", "x", "", 900)], vec![])),
        ("text that is mended", chat(1, vec![long(2, "", "\u{1}", "", 900)], vec![])),
        ("attributes", chat(1, hi(), vec![many(attribute(5, 1, &[]), 400)])),
        ("empty attributes", chat(1, hi(), vec![many(Fields(5, vec![]), 100)])),
        ("attributes of text", chat(2, hi(), vec![many(attribute(5, 7, &[text(6, "")]), 300)])),
        ("attributes of JSON", chat(2, hi(), vec![many(attribute(5, 8, &[text(6, "0")]), 300)])),
        ("an attribute of JSON", chat(1, hi(), vec![attribute(5, 8, &[long(6, "[", "{\"\":0},", "0]", 900)])])),
        ("many contents", chat(1, hi(), vec![many(Fields(4, vec![]), 10)])),
        ("custom", typed(7, &[19])),
        ("custom values", chat(1, vec![Number(1, 7), many(attribute(20, 1, &[]), 400)], vec![])),
        ("custom params", chat(1, vec![Number(1, 7), many(attribute(11, 2, &[]), 400)], vec![])),
        ("command", typed(6, &[10])),
        ("image", typed(1, &[6, 7, 8])),
        ("film", typed(2, &[6, 7, 8, 14, 15, 16])),
        ("place", typed(3, &[5, 21])),
        ("voice", typed(4, &[6, 7, 8])),
        ("file", typed(5, &[6, 7, 8])),
        ("combined", typed(8, &[2, 6, 7, 8, 23, 24])),
        ("raw", chat(1, vec![Number(1, 77), long(2, "", "x", "", 500)], vec![])),
        ("piece", chat(1, vec![Number(22, 10), text(2, "x")], vec![Fields(13, vec![text(1, "y"), Number(2, 3)])])),
        ("reactions", extras("{\"reaction\":[", "{\"count\":1},", "{}]}")),
        ("users of a reaction", extras("{\"reaction\":[{\"userList\":[", "\"#\",", "\"\"]}]}")),
        ("translations", extras("{\"translations\":[", "{\"code\":1},", "{}]}")),
        ("overview", extras("{\"thread_overview\":{\"last_message\":[", "{\"\":0},", "0]}}")),
        ("last message", extras("{\"thread_overview\":{\"last_message\":{\"a\":[", "{\"\":0},", "0]}}}")),
        ("room attributes", body(CHAT, vec![Number(1, 3), Fields(4, hi())])),
        ("receipt", body(CHAT, vec![Number(1, 5), many(Number(17, 1), 500)])),
        ("packed receipt", body(CHAT, vec![Number(1, 4), long(17, "", "\u{1}", "", 500)])),
        (
            "counted readers",
            body(CHAT, vec![Number(1, 4), Fields(5, vec![long(6, "{", "\"#1\":0,\"1\":1,", "\"2\":3}", 300)])]),
        ),
        ("recall", body(CHAT, vec![Number(1, 6), Number(6, 9), text(8, "x")])),
        ("edit", chat(8, hi(), vec![Number(11, 9), many(attribute(5, 1, &[]), 400)])),
        ("kept counts", body(STATISTIC, vec![Number(1, 0), long(7, "{\"group_ack\":[", "{\"1\":0},", "{}]}", 300)])),
        ("group", muc(7, vec![many(jid(4, "#"), 100), text(6, "why"), text(11, "name")])),
        ("room", muc(0, vec![Number(7, 1), many(jid(4, "#"), 100)])),
        ("members", muc(17, vec![many(text(16, "#"), 900)])),
        ("empty members", muc(18, vec![many(text(16, ""), 900), text(14, "x")])),
        ("muted", muc(23, vec![long(14, "{\"user_mute_time\":{", "\"#\":0,", "\"\":0}}", 500)])),
        ("settings", info(14, "{\"name\":\"n\",\"other\":[", "{\"\":0},", "0]}")),
        ("many settings", info(14, "{\"public\":true,", "\"#\":0,", "\"title\":\"t\"}")),
        (
            "attributes of a room",
            info(43, "{\"result\":{\"successKeys\":[\"a\",\"b\"]},\"properties\":{", "\"#\":\"\",", "\"a\":0}}"),
        ),
        ("keys of a room", info(44, "{\"result\":{\"successKeys\":[", "\"#\",", "\"\"]}}")),
        ("attributes of a member", info(45, "{\"username\":\"bob\",\"properties\":{", "\"#\":0,", "\"a\":0}}")),
        ("thread on a device", muc(33, vec![text(11, "name")])),
        ("removed from a thread", muc(37, vec![jid(10, "9001"), many(jid(4, "#"), 50)])),
        ("contact", body(ROSTER, vec![Number(1, 2), text(5, "why"), many(jid(4, "#"), 100)])),
        ("presence", notify("{\"type\":\"presence\",\"data\":{\"values\":[", "{\"uid\":1},", "{}]}}")),
        ("empty presence", notify("{\"type\":\"presence\",\"data\":{\"values\":[", "{},", "{}]}}")),
        (
            "devices",
            notify("{\"type\":\"presence\",\"data\":{\"values\":[{\"uid\":1,\"status\":{", "\"#\":0,", "\"x\":0}}]}}"),
        ),
        ("changes of reactions", notify("{\"type\":\"reaction\",\"data\":[", "{\"ts\":1},", "{}]}")),
        (
            "changed reactions",
            notify("{\"type\":\"reaction\",\"data\":[{\"ts\":1,\"reactions\":[", "{\"count\":1},", "{}]}]}"),
        ),
        (
            "who reacted",
            notify("{\"type\":\"reaction\",\"data\":[{\"ts\":1,\"reactions\":[{\"userList\":[", "\"#\",", "\"\"]}]}]}"),
        ),
        (
            "who did",
            notify(
                "{\"type\":\"reaction\",\"data\":[{\"ts\":1,\"reactions\":[{\"op\":[",
                "{\"reactionType\":\"create\"},",
                "{}]}]}]}",
            ),
        ),
        (
            "thread",
            notify(
                "{\"type\":\"thread\",\"data\":{\"operation\":\"update_msg\",\"last_message\":[",
                "{\"\":0},",
                "0]}}",
            ),
        ),
        ("history", notify("{\"type\":\"roaming_delete\",\"data\":{\"to\":\"bob\",\"msgIdList\":[", "1,", "1]}}")),
        (
            "history as text",
            notify("{\"type\":\"roaming_delete\",\"data\":{\"to\":\"bob\",\"msgIdList\":\"", "1,", "1\"}}"),
        ),
        (
            "pin",
            notify("{\"type\":\"conv\",\"data\":{\"op\":\"pin\",\"ext\":5,\"id\":\"", "x", "\",\"from\":\"carol\"}}"),
        ),
        ("conversation", notify("{\"type\":\"conv\",\"data\":{\"op\":\"top\",\"id\":\"", "x", "\"}}")),
        ("silent modes", notify("{\"type\":\"user_notification_mute\",\"values\":[", "{\"user\":1},", "{}]}")),
        ("empty modes", notify("{\"type\":\"user_notification_mute\",\"values\":[", "{\"a\":0},", "{}]}")),
        (
            "settings of modes",
            notify("{\"type\":\"user_notification_mute\",\"values\":[", "{\"data\":{\"\":0}},", "{}]}"),
        ),
        ("unknown notice", notify("{\"type\":\"news\",\"data\":[", "{\"\":0},", "0]}")),
        ("no JSON", notify("{", "{", "")),
        ("unknown name space", meta(99, long(6, "", "x", "", 100))),
    ]
}
