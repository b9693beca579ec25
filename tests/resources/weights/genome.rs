//! Metas that can be changed a little: fields with texts, numbers and fields in them, some of them many times over.

use prost::encoding::{WireType, encode_key, encode_varint};

/// Reproducible chance.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(name: &str) -> Self {
        Dice(
            name.bytes()
                .fold(0x9e37_79b9_7f4a_7c15, |seed, byte| (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
        )
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.max(1) as u64) as usize
    }
}

/// One field. A `#` in a text stands for a name that no other repetition has.
#[derive(Clone, Debug)]
pub(crate) enum Genome {
    Number(u32, u64),
    Text(u32, String),
    /// A text whose middle part is repeated.
    Long(u32, String, String, String, usize),
    Fields(u32, Vec<Genome>),
    Many(Box<Genome>, usize),
}

/// A short name for a number.
fn name(mut number: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut name = String::new();
    loop {
        name.push(char::from(LETTERS[number % LETTERS.len()]));
        number /= LETTERS.len();
        if number == 0 {
            return name;
        }
    }
}

impl Genome {
    /// The meta: the fields of the outermost message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Genome::Fields(_, fields) = self else { panic!("a meta has fields") };
        let mut encoded = Vec::new();
        fields.iter().for_each(|field| field.write(0, &mut encoded));
        encoded
    }

    fn write(&self, at: usize, to: &mut Vec<u8>) {
        let content = |tag: u32, content: &[u8], to: &mut Vec<u8>| {
            encode_key(tag, WireType::LengthDelimited, to);
            encode_varint(content.len() as u64, to);
            to.extend_from_slice(content);
        };
        match self {
            Genome::Number(tag, number) => {
                encode_key(*tag, WireType::Varint, to);
                encode_varint(*number, to);
            }
            Genome::Text(tag, text) => content(*tag, text.replace('#', &name(at)).as_bytes(), to),
            Genome::Long(tag, before, part, after, times) => {
                let parts: String = (0..*times).map(|at| part.replace('#', &name(at))).collect();
                content(*tag, format!("{before}{parts}{after}").as_bytes(), to);
            }
            Genome::Fields(tag, fields) => {
                let mut inner = Vec::new();
                fields.iter().for_each(|field| field.write(at, &mut inner));
                content(*tag, &inner, to);
            }
            Genome::Many(field, times) => (0..*times).for_each(|at| field.write(at, to)),
        }
    }

    /// Changes something, somewhere.
    pub(crate) fn mutate(&mut self, dice: &mut Dice) {
        match self {
            Genome::Number(tag, number) => match dice.below(3) {
                0 => *number = [0, 1, 2, 7, 8, u64::MAX][dice.below(6)],
                1 => *number = number.wrapping_add(1),
                _ => *tag = retag(*tag, dice),
            },
            Genome::Text(tag, text) => match dice.below(6) {
                0 => *tag = retag(*tag, dice),
                1 => text.clear(),
                2 => *text = "#".to_owned(),
                _ => edit(text, dice),
            },
            Genome::Long(_, before, part, after, times) => match dice.below(12) {
                0 => edit(before, dice),
                1 => edit(after, dice),
                2 => *times = (*times * 2).min(8192),
                3 => *times = (*times / 2).max(1),
                4 => *times += dice.below(40),
                5 => *part = format!("{part}{part}"),
                _ => edit(part, dice),
            },
            Genome::Fields(tag, fields) => match dice.below(8) {
                0 if *tag != 0 => *tag = retag(*tag, dice),
                1 if fields.len() > 1 => drop(fields.remove(dice.below(fields.len()))),
                2 if !fields.is_empty() => {
                    let again = fields[dice.below(fields.len())].clone();
                    fields.push(again);
                }
                3 => fields.push(match dice.below(3) {
                    0 => Genome::Number(1 + dice.below(20) as u32, dice.below(9) as u64),
                    1 => Genome::Text(1 + dice.below(20) as u32, "#".to_owned()),
                    _ => Genome::Fields(1 + dice.below(20) as u32, Vec::new()),
                }),
                _ if !fields.is_empty() => {
                    let at = dice.below(fields.len());
                    fields[at].mutate(dice);
                }
                _ => {}
            },
            Genome::Many(field, times) => match dice.below(6) {
                0 => *times = (*times * 2).min(8192),
                1 => *times = (*times / 2).max(1),
                2 => *times += dice.below(40),
                _ => field.mutate(dice),
            },
        }
    }
}

fn retag(tag: u32, dice: &mut Dice) -> u32 {
    match dice.below(3) {
        0 => tag + 1,
        1 => tag.saturating_sub(1).max(1),
        _ => 1 + dice.below(25) as u32,
    }
}

/// Changes a piece of a text, as JSON has them.
fn edit(text: &mut String, dice: &mut Dice) {
    const PIECES: [&str; 22] = [
        "{}",
        "[]",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\"\"",
        ",",
        ":",
        "0",
        "1",
        "#",
        "\"#\"",
        "\"#\":0,",
        "\"#\":\"\",",
        "{\"\":0},",
        "\\u0001",
        "\\ud83d",
        "é",
        "\u{1}",
        "null",
    ];
    let mut chars: Vec<char> = text.chars().collect();
    let (at, piece) = (dice.below(chars.len() + 1), PIECES[dice.below(PIECES.len())]);
    match dice.below(4) {
        0 if at < chars.len() => drop(chars.remove(at)),
        1 if at < chars.len() => {
            let end = (at + 1 + dice.below(8)).min(chars.len());
            chars.drain(at..end);
        }
        2 if at < chars.len() => drop(chars.splice(at..=at, piece.chars())),
        _ => drop(chars.splice(at..at, piece.chars())),
    }
    *text = chars.into_iter().collect();
}
