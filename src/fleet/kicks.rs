//! Who kicked an account, and what that means for a fleet.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    fleet::{engine::Index, state::OtherLogin},
    model::server_text::ServerText,
};

/// Text that each login of a fleet carries. The service shows it to a device that the login kicks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LoginText {
    pub(super) fleet: Arc<str>,
    pub(super) node: Arc<str>,
    pub(super) epoch: u64,
    pub(super) pid: u32,
    /// The application's own text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) text: Option<String>,
}

/// A kick's other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) by: OtherLogin,
    own: Option<LoginText>,
}

impl LoginText {
    /// Returns the text of a login of this fleet with the application's own.
    pub(super) fn with(&self, text: Option<&str>) -> String {
        let own = LoginText { text: text.map(str::to_owned), ..self.clone() };
        serde_json::to_string(&own).unwrap_or_default()
    }

    /// Reads the text of the login that kicked an account.
    pub(super) fn read(ext: Option<&ServerText>, ours: &LoginText) -> Other {
        let own =
            ext.and_then(|ext| serde_json::from_str::<LoginText>(ext).ok()).filter(|text| text.fleet == ours.fleet);
        let by = OtherLogin {
            ext: ext.map(|ext| ext.shown().chars().take(OtherLogin::MAX_CHARS).collect::<String>().into()),
            node: own.as_ref().map(|own| own.node.chars().take(OtherLogin::MAX_CHARS).collect::<String>().into()),
            pid: own.as_ref().map(|own| own.pid),
        };
        Other { by, own }
    }
}

impl OtherLogin {
    /// The longest text of another login that is kept, in characters; the rest is cut.
    pub const MAX_CHARS: usize = 128;
}

/// What a kick by another login means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A newer process of this fleet has the account now.
    Newer,
    /// A login that began before ours came late, or it is our own.
    Stale,
    /// A second program or person.
    Foreign,
    /// One that takes so many accounts that somebody must be told.
    Alarm { by: OtherLogin, accounts: usize },
    /// One of which somebody was told already.
    Known,
}

/// Foreign logins of late, by their text.
#[derive(Debug, Default)]
pub(super) struct ForeignLogins(VecDeque<Foreign>);

#[derive(Debug)]
struct Foreign {
    ext: Option<Arc<str>>,
    /// When it took which accounts, within the window, each once.
    taken: VecDeque<(Duration, Index)>,
    alarmed: bool,
}

impl ForeignLogins {
    /// Texts remembered.
    const TEXTS: usize = 32;
    /// Accounts taken count for so long.
    const WINDOW: Duration = Duration::from_secs(600);
    /// The alarm comes at 5 % of the accounts, and at this many at least.
    const LEAST: usize = 3;

    pub(super) fn judge(
        &mut self,
        index: Index,
        other: &Other,
        ours: &LoginText,
        accounts: usize,
        now: Duration,
    ) -> Verdict {
        match &other.own {
            Some(own) if own.epoch > ours.epoch => return Verdict::Newer,
            Some(own) if own.epoch < ours.epoch || (own.pid == ours.pid && own.node == ours.node) => {
                return Verdict::Stale;
            }
            _ => {}
        }
        let place = self.0.iter().position(|known| known.ext == other.by.ext).unwrap_or_else(|| {
            if self.0.len() >= Self::TEXTS {
                self.0.pop_front();
            }
            self.0.push_back(Foreign { ext: other.by.ext.clone(), taken: VecDeque::new(), alarmed: false });
            self.0.len() - 1
        });
        let Some(foreign) = self.0.get_mut(place) else { return Verdict::Foreign };
        if foreign.alarmed {
            return Verdict::Known;
        }
        foreign.taken.retain(|(at, taken)| *taken != index && now.saturating_sub(*at) < Self::WINDOW);
        foreign.taken.push_back((now, index));
        let taken = foreign.taken.len();
        if taken >= Self::LEAST && taken.saturating_mul(20) >= accounts {
            foreign.alarmed = true;
            return Verdict::Alarm { by: other.by.clone(), accounts: taken };
        }
        Verdict::Foreign
    }
}
