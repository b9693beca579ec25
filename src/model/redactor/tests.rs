use std::time::{Duration, Instant};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use secrecy::SecretString;
use slog::{Drain as _, Logger};

use super::{Redactor, spelling::BEGINNING};
use crate::model::account::{Password, Token};

const TOKEN: &str = "YWMt-CANARY/+=\"01234%2F56789é";

fn knows(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::default();
    secrets.iter().for_each(|secret| redactor.learn(SecretString::from(*secret)));
    redactor
}

fn shown(secrets: &[&str], text: &str) -> String {
    knows(secrets).shown(text.to_owned())
}

fn percent(text: &str, all: bool, upper: bool) -> String {
    let encode = |byte: u8| match byte {
        plain if !all && (plain.is_ascii_alphanumeric() || b"-._~".contains(&plain)) => char::from(plain).to_string(),
        odd if upper => format!("%{odd:02X}"),
        odd => format!("%{odd:02x}"),
    };
    text.bytes().map(encode).collect()
}

#[test]
fn a_secret_is_found_however_a_server_may_spell_it() {
    let json = serde_json::to_string(TOKEN).unwrap();
    let escaped: String = TOKEN.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    let spellings = [
        TOKEN.to_owned(),
        TOKEN.to_ascii_uppercase(),
        TOKEN.to_ascii_lowercase(),
        percent(TOKEN, false, true),
        percent(TOKEN, false, false),
        percent(TOKEN, true, true),
        percent(&TOKEN.to_ascii_lowercase(), true, false),
        json[1..json.len() - 1].to_owned(),
        json.replace('/', "\\/")[1..].trim_end_matches('"').to_owned(),
        escaped,
        TOKEN.escape_default().to_string(),
        format!("{:?}", TOKEN.escape_default().to_string()).trim_matches('"').to_owned(),
        format!("{:?}", &json[1..json.len() - 1]).trim_matches('"').to_owned(),
        TOKEN.escape_unicode().to_string(),
        TOKEN.as_bytes().escape_ascii().to_string(),
        format!("$t${TOKEN}"),
        format!("Bearer {TOKEN}"),
        BASE64_STANDARD.encode(TOKEN),
        BASE64_URL_SAFE_NO_PAD.encode(TOKEN),
        BASE64_STANDARD.encode(format!("alice:{TOKEN}")),
        BASE64_STANDARD.encode(format!("al:{TOKEN}, and more")),
        BASE64_URL_SAFE_NO_PAD.encode(format!("x{TOKEN}yy")),
    ];
    for spelled in spellings {
        for (before, after) in [("", ""), ("what is ", " supposed to mean"), ("é\"", "\"é")] {
            let shown = shown(&[TOKEN, "another"], &format!("{before}{spelled}{after}"));
            let rest = shown.strip_prefix(before).and_then(|shown| shown.strip_suffix(after));
            let hidden =
                rest.is_some_and(|rest| rest.trim_start_matches("$t$").trim_start_matches("Bearer ") == "<redacted>");
            assert!(hidden, "{spelled} in {before:?}: {shown}");
        }
    }
    assert_eq!(shown(&["a pass&word"], "q=a+pass%26word&b=1"), "q=<redacted>&b=1");
    assert_eq!(shown(&["smile\u{1f600}"], "smile\\ud83d\\ude00!"), "<redacted>!");
}

#[test]
fn short_secrets_are_found_as_words_and_very_short_ones_as_the_whole_text() {
    assert_eq!(shown(&["hunter2"], "xhunter2x"), "x<redacted>x");
    assert_eq!(shown(&["te-7"], "the late-77 te-7, \"te-7\""), "the late-77 <redacted>, \"<redacted>\"");
    assert_eq!(shown(&["test"], "the latest test"), "the latest test");
    assert_eq!(shown(&["test"], "test"), "<redacted>");
    assert_eq!(shown(&["1"], "1 of 11 failed with status 1"), "1 of 11 failed with status 1");
    assert_eq!(shown(&["1"], "1"), "<redacted>");
    assert_eq!(shown(&["ä1ü"], "ä1ü: kä1üx"), "<redacted>: kä1üx");
    assert_eq!(shown(&["pw", "pw2"], "pw2"), "<redacted>");
    assert_eq!(shown(&[""], "as it is"), "as it is");
}

#[test]
fn the_beginning_of_a_secret_is_one_where_it_is_long_enough() {
    let long = "YWMt-0123456789-0123456789";
    assert_eq!(shown(&[long], &format!("cut: {}", &long[..BEGINNING])), "cut: <redacted>");
    let short = &long[..BEGINNING - 1];
    assert_eq!(shown(&[long], short), short);
}

#[test]
fn secrets_within_and_across_each_other_leave_nothing() {
    assert_eq!(shown(&["abcdef", "cdefgh", "xxabcdefxx"], "abcdefgh xxabcdefxx"), "<redacted> <redacted>");
    assert_eq!(shown(&["bad password", "password hunter2"], "bad password hunter2!"), "<redacted>!");
}

#[test]
fn a_mark_never_tells_a_secret() {
    assert_eq!(shown(&["redacted"], "it is redacted"), "it is ***");
    assert_eq!(shown(&["<redacted>", "secret"], "secret"), "***");
    for secrets in [&["redacted", "***", "…"][..], &["x<redacted>", "secret"]] {
        for text in ["redacted", "xsecret", "x<redacted>", "***", "…"] {
            let redactor = knows(secrets);
            let shown = redactor.shown(text.to_owned());
            assert_eq!(redactor.changed(&shown), None, "{secrets:?} {text} {shown}");
        }
    }
}

#[test]
fn the_newest_tokens_are_kept_and_what_a_call_carries_is_kept_while_it_runs() {
    let token = |n: usize| Token::new(format!("YWMt-number-{n}-")).unwrap();
    let (redactor, password) = (Redactor::default(), Password::new("correct horse").unwrap());
    redactor.learn_password(&password);
    let leased = redactor.lease([&token(1000)]);
    for n in 0..100 {
        redactor.learn_token(&token(n));
        redactor.learn(SecretString::from(format!("other-{n}-")));
    }
    let is_known = |text: &str| redactor.changed(text).is_some();
    for n in 0..100 {
        assert_eq!(is_known(token(n).expose()), n >= 100 - Redactor::TOKENS, "{n}");
        assert_eq!(is_known(&format!("other-{n}-")), n >= 100 - Redactor::OTHERS, "{n}");
    }
    assert!(is_known("correct horse") && is_known(token(1000).expose()));
    drop(leased);
    assert!(is_known(token(1000).expose()), "remembered after its call");
    assert!(!format!("{redactor:?}").contains("horse"));
}

#[test]
fn a_text_is_cut_with_a_mark_and_no_part_of_a_secret_is_left_wherever_it_stands() {
    let redactor = knows(&[TOKEN, "YWMt-CANARY-former"]);
    for each in ["x", "ü", "\u{200b}", "\u{1f600}"] {
        assert_eq!(redactor.taken_in(each.repeat(512), 512), each.repeat(512));
        for more in [1, 3, 1 << 20] {
            let text = redactor.taken_in(each.repeat(512 + more), 512);
            assert_eq!(text, each.repeat(512) + "…");
        }
    }
    for around in ["", "x", "ü\u{1f600}"] {
        for spelled in [TOKEN.to_owned(), percent(TOKEN, true, true), TOKEN.escape_default().to_string()] {
            for before in (0..600).step_by(41).chain(500..515).chain((17_000..18_500).step_by(317)) {
                let text = format!("{}{spelled}{}", "y".repeat(before), format!("{around}{spelled}").repeat(300));
                for taken in [redactor.taken_in(text.clone(), 512), redactor.shown(redactor.whole(text, 512))] {
                    let lower = taken.to_lowercase();
                    assert!(!["canary", "ywmt", "%59%57", "%43%41"].iter().any(|part| lower.contains(part)), "{taken}");
                    assert!(taken.chars().count() <= 513 + 10, "{before}: {taken}");
                }
            }
        }
    }
}

#[test]
fn what_is_used_as_it_is_keeps_its_secrets_whole() {
    let redactor = knows(&[TOKEN]);
    let ext = format!("{TOKEN} on my phone");
    assert_eq!(redactor.whole(ext.clone(), 1024), ext);
    let long = format!("{}{TOKEN}", "x".repeat(1000));
    assert_eq!(redactor.whole(long, 1010), "x".repeat(1000) + "…");
}

#[test]
fn many_mebibytes_and_the_worst_secrets_take_no_time() {
    let a = "a".repeat(1 << 20);
    let redactor = knows(&[&a, &"a".repeat(40), &"%61".repeat(1 << 16), &"\\".repeat(1 << 16), "aaaaaaaaaaaaaaab"]);
    let begun = Instant::now();
    for text in
        ["\u{200b}".repeat(4 << 20), a, "%61".repeat(1 << 20), "\\".repeat(1 << 20), "aaaaaaaaaaaaaab".repeat(1 << 16)]
    {
        redactor.taken_in(text.clone(), 512);
        redactor.whole(text, 1024);
    }
    // Each in proportion to itself would take minutes, and the square of it hours.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn the_last_net_hides_secrets_in_every_record_and_leaves_the_rest_as_it_is() {
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Noted(Arc<Mutex<String>>);

    impl slog::Drain for Noted {
        type Ok = ();
        type Err = slog::Never;

        fn log(&self, record: &slog::Record<'_>, values: &slog::OwnedKVList) -> Result<(), slog::Never> {
            struct Pairs(String);
            impl slog::Serializer for Pairs {
                fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
                    self.0.push_str(&format!(", {key}={value}"));
                    Ok(())
                }
                fn emit_u64(&mut self, key: slog::Key, value: u64) -> slog::Result {
                    self.emit_arguments(key, &format_args!("u64 {value}"))
                }
            }
            let mut pairs = Pairs(record.msg().to_string());
            slog::KV::serialize(&record.kv(), record, &mut pairs).unwrap();
            slog::KV::serialize(values, record, &mut pairs).unwrap();
            let place = format!(" at {} {}:{}\n", record.level(), record.file(), record.line() > 0);
            self.0.lock().unwrap().push_str(&(pairs.0 + &place));
            Ok(())
        }
    }

    let noted = Noted::default();
    let plain = Logger::root(noted.clone().filter_level(slog::Level::Debug).fuse(), slog::o!("app" => "mine"));
    let redactor = knows(&["hunter22", "1"]);
    let log = redactor.logger(&plain).new(slog::o!("user" => "hunter22"));
    slog::info!(log, "said {}", "hunter22"; "count" => 1_u64, "error" => %"no hunter22", "host" => Some("h"), "none" => None::<&str>);
    slog::debug!(log, "clean"; "count" => 1_u64, "what" => ?Some(7));
    slog::trace!(log, "hunter22");
    let noted = noted.0.lock().unwrap().clone();
    let lines: Vec<&str> = noted.lines().collect();
    assert_eq!(lines.len(), 2, "{noted}");
    assert!(lines[0].starts_with("said <redacted>") && lines[0].contains("count=u64 1"), "{noted}");
    assert!(lines[0].contains("error=no <redacted>") && lines[0].contains("host=h"), "{noted}");
    assert!(
        lines[0].contains("user=hunter22, app=mine at INFO src/model/redactor/tests.rs:true"),
        "the account's own: {noted}"
    );
    assert!(lines[1].starts_with("clean") && lines[1].contains("what=Some(7)") && lines[1].contains("count=u64 1"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_shows_a_secret_and_one_without_is_as_it_was(
        secrets in prop::collection::vec("[ab%\\\\é<>1]{1,20}", 0..4),
        text in "[ab%\\\\é<>1 26ux]{0,80}",
    ) {
        let redactor = knows(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
        let shown = redactor.shown(text.clone());
        prop_assert_eq!(redactor.changed(&shown), None);
        for secret in secrets.iter().filter(|secret| secret.chars().count() >= 6) {
            prop_assert!(!shown.contains(&**secret), "{} in {}", secret, shown);
        }
        if shown == text {
            prop_assert_eq!(redactor.changed(&text), None);
        }
        let taken = redactor.taken_in(text, 10);
        prop_assert!(taken.chars().count() <= 11);
    }
}
