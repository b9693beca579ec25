//! The file of accounts: CSV with a header.

use std::{collections::HashMap, path::Path, sync::Arc};

use agora_chat::{Credentials, UserId, errors::CredentialError, fleet::AccountSpec};
use csv::{ReaderBuilder, StringRecord, Trim};
use secrecy::{ExposeSecret as _, SecretString};

use super::tokens::Source;
use crate::secrets;

/// A line of the file.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) user: UserId,
    pub(crate) secret: Secret,
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) weight: u32,
}

/// How an account logs in.
#[derive(Clone)]
pub(crate) enum Secret {
    Password(SecretString),
    Token(SecretString),
    /// By the tokens of [`Source`] alone.
    Source,
}

impl Secret {
    pub(crate) fn is(&self, other: &Secret) -> bool {
        match (self, other) {
            (Secret::Password(ours), Secret::Password(theirs)) | (Secret::Token(ours), Secret::Token(theirs)) => {
                ours.expose_secret() == theirs.expose_secret()
            }
            (Secret::Source, Secret::Source) => true,
            _ => false,
        }
    }
}

impl Row {
    /// Returns the credentials, renewed from the source of tokens where a token is given and there is a source.
    ///
    /// # Errors
    /// What the service would refuse.
    pub(crate) fn credentials(&self, source: Option<&Source>) -> Result<Credentials, CredentialError> {
        let user = self.user.as_str();
        match (&self.secret, source) {
            (Secret::Password(password), _) => Credentials::password(user, password.expose_secret()),
            (Secret::Token(token), Some(source)) => source.credentials(user, Some(token.expose_secret())),
            (Secret::Token(token), None) => Credentials::token(user, token.expose_secret()),
            (Secret::Source, Some(source)) => source.credentials(user, None),
            // The reader refuses such a line.
            (Secret::Source, None) => Err(CredentialError::EmptyToken),
        }
    }
}

/// The most mistakes that are told of one file.
const TOLD: usize = 20;

const HEADER: &str = "the first line must be the header: user,password or user,token, with tag and weight where wanted";

/// Reads the whole file. One mistake and nothing of it counts, so that a damaged file removes nobody.
///
/// # Errors
/// Every mistake with its line and without any secret, at most [`TOLD`] of them.
pub(crate) fn read(path: &Path, source: Option<&Source>) -> Result<Vec<Row>, Vec<String>> {
    let text = secrets::bytes(&path.to_string_lossy()).map_err(|error| error.to_string());
    let text = text.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
    let rows = match text {
        Ok(text) => parse(secrets::unmarked(&text), source),
        Err(error) => Err(vec![(None, error)]),
    };
    rows.map_err(|mistakes| {
        let more = mistakes.len().saturating_sub(TOLD);
        let told = mistakes.into_iter().take(TOLD).map(|(line, text)| match line {
            Some(line) => format!("{}:{line}: {text}", path.display()),
            None => format!("{}: {text}", path.display()),
        });
        let more = (more > 0).then(|| format!("{}: {more} more lines are wrong", path.display()));
        told.chain(more).collect()
    })
}

type Mistake = (Option<u64>, String);

fn parse(text: &str, source: Option<&Source>) -> Result<Vec<Row>, Vec<Mistake>> {
    let mut reader =
        ReaderBuilder::new().has_headers(true).trim(Trim::Headers).comment(Some(b'#')).from_reader(text.as_bytes());
    let columns = match reader.headers() {
        Ok(header) => Columns::of(header).map_err(|error| vec![(Some(1), error)])?,
        Err(_) => return Err(vec![(Some(1), HEADER.to_owned())]),
    };
    let (mut rows, mut mistakes, mut lines) = (Vec::new(), Vec::new(), HashMap::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map(csv::Position::line);
                mistakes.push((line, shape(&error)));
                continue;
            }
        };
        let line = record.position().map(csv::Position::line);
        match columns.row(&record, source) {
            Ok(row) => match lines.insert(row.user.clone(), line.unwrap_or_default()) {
                Some(first) => mistakes.push((line, format!("user {} stands on line {first} already", row.user))),
                None => rows.push(row),
            },
            Err(error) => mistakes.push((line, error)),
        }
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(mistakes) }
}

/// Returns what is wrong with the shape of a line, without its content.
fn shape(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields and the header {expected_len}; quote fields that hold a comma")
        }
        _ => "it cannot be read as CSV".to_owned(),
    }
}

/// Where the header says each column is.
struct Columns {
    user: usize,
    password: Option<usize>,
    token: Option<usize>,
    tag: Option<usize>,
    weight: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, String> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, name) in header.iter().enumerate() {
            // What is no column's name may be a line with a secret.
            if !["user", "password", "token", "tag", "weight"].contains(&name) {
                return Err(format!("column {} is none of user, password, token, tag and weight; {HEADER}", place + 1));
            }
            if places.insert(name, place).is_some() {
                return Err(format!("the column {name} stands there twice"));
            }
        }
        let place = |name| places.get(name).copied();
        let user = place("user").ok_or_else(|| format!("the column user is missing; {HEADER}"))?;
        match (place("password"), place("token")) {
            (Some(_), Some(_)) => Err("it has password and token; an account logs in by one of them".to_owned()),
            (None, None) => Err(format!("it has neither password nor token; {HEADER}")),
            (password, token) => Ok(Columns { user, password, token, tag: place("tag"), weight: place("weight") }),
        }
    }

    fn row(&self, record: &StringRecord, source: Option<&Source>) -> Result<Row, String> {
        let field = |place: usize| record.get(place).unwrap_or_default();
        let given = |place: Option<usize>| place.map(|place| field(place).trim()).filter(|text| !text.is_empty());
        let user: UserId = field(self.user).trim().parse().map_err(|error: CredentialError| error.to_string())?;
        let secret = match (self.password.map(field), given(self.token)) {
            (Some(password), _) => Secret::Password(password.into()),
            (None, Some(token)) => Secret::Token(token.into()),
            (None, None) if source.is_some() => Secret::Source,
            (None, None) => return Err(format!("user {user} has no token, and there is no [tokens] to get one")),
        };
        let tag = given(self.tag).map(Arc::from);
        if let Some(tag) = &tag
            && str::len(tag) > AccountSpec::MAX_TAG
        {
            return Err(format!("the tag of user {user} is longer than {} bytes", AccountSpec::MAX_TAG));
        }
        let weight = match given(self.weight) {
            None => 1,
            Some(text) => match text.parse() {
                Ok(weight) if (1..=AccountSpec::MAX_WEIGHT).contains(&weight) => weight,
                _ => {
                    let most = AccountSpec::MAX_WEIGHT;
                    return Err(format!("the weight of user {user} must be a whole number from 1 to {most}"));
                }
            },
        };
        let row = Row { user, secret, tag, weight };
        // Only whether the service would take them.
        row.credentials(source).map_err(|error| format!("user {}: {error}", row.user))?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::{Secret, parse};

    fn mistakes(text: &str) -> Vec<(Option<u64>, String)> {
        match parse(text, None) {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes,
        }
    }

    #[test]
    fn columns_stand_in_any_order_and_fields_may_be_quoted() {
        let text = "weight,tag,password,user\r\n7,sales,\"a,\"\"b\",Bot-1\r\n,,  p w  , bot-2 \r\n# a remark\r\n";
        let Ok(rows) = parse(text, None) else { panic!("{:?}", mistakes(text)) };
        let shown: Vec<_> = rows
            .iter()
            .map(|row| {
                let Secret::Password(password) = &row.secret else { panic!("no password") };
                (row.user.as_str(), password.expose_secret(), row.tag.as_deref(), row.weight)
            })
            .collect();
        assert_eq!(shown, [("bot-1", "a,\"b", Some("sales"), 7), ("bot-2", "  p w  ", None, 1)]);
    }

    #[test]
    fn every_mistake_has_its_line_and_shows_no_secret() {
        for (text, line, words) in [
            ("", 1, "the first line must be the header"),
            ("bot-1,CANARY\n", 1, "column 1 is none of"),
            ("user,password,CANARY\n", 1, "column 3"),
            ("user\nbot-1\n", 1, "neither password nor token"),
            ("password\nCANARY\n", 1, "the column user is missing"),
            ("user,password,token\nbot-1,CANARY,CANARY\n", 1, "one of them"),
            ("user,user,password\n", 1, "twice"),
            ("user,password\nbot-1,CANARY\nbot-2\n", 3, "1 fields"),
            ("user,password\nbot-1,CAN,ARY\n", 2, "quote"),
            ("user,password\nbot 1,CANARY\n", 2, "bot 1"),
            ("user,password\nbot-1,\n", 2, "password"),
            ("user,password\n,CANARY\n", 2, "user id"),
            ("user,password\nbot-1,CANARY\nBOT-1,CANARY\n", 3, "line 2 already"),
            ("user,token\nbot-1,\n", 2, "no token"),
            ("user,token\nbot-1,CAN ARY\n", 2, "token"),
            ("user,password,weight\nbot-1,CANARY,0\n", 2, "from 1 to 1000"),
            ("user,password,weight\nbot-1,CANARY,CANARY\n", 2, "from 1 to 1000"),
            (&format!("user,password,tag\nbot-1,CANARY,{}\n", "t".repeat(65)), 2, "longer than 64"),
        ] {
            let found = mistakes(text);
            let Some((at, told)) = found.first() else { panic!("{text:?} is taken") };
            assert_eq!(at.unwrap_or_default(), line, "{text:?}: {told}");
            assert!(told.contains(words), "{text:?}: {told}");
            assert!(!format!("{found:?}").contains("CANARY"), "{found:?}");
        }
    }

    #[test]
    fn all_mistakes_of_a_file_are_found() {
        let found = mistakes("user,password\nbot 1,x\nbot-2,x\nbot-3,\nbot-2,y\n");
        assert_eq!(found.iter().map(|(line, _)| line.unwrap_or_default()).collect::<Vec<_>>(), [2, 4, 5]);
    }
}
