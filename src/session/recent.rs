//! The ids of the messages seen last, so that a page that comes again is not delivered twice.

use std::{collections::VecDeque, time::Duration};

use crate::Limits;

/// The message ids seen last in a login, bounded by number and age; it outlives reconnects.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<(u64, Duration)>);

impl Recent {
    /// Notes an id; `false` when it was seen already. Id 0 stands for no id and is always new.
    pub(crate) fn insert(&mut self, id: u64, now: Duration, limits: &Limits) -> bool {
        if id == 0 {
            return true;
        }
        while self.0.front().is_some_and(|(_, seen)| now.saturating_sub(*seen) > limits.remembered_for) {
            self.0.pop_front();
        }
        if self.0.iter().any(|(known, _)| *known == id) {
            return false;
        }
        while self.0.len() >= limits.remembered_ids.max(1) {
            self.0.pop_front();
        }
        if limits.remembered_ids > 0 {
            self.0.push_back((id, now));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Limits, Recent};

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn an_id_is_new_once_until_it_falls_out_of_the_window() {
        let (mut recent, limits) = (Recent::default(), Limits::default());
        assert!(recent.insert(7, NOW, &limits));
        assert!(!recent.insert(7, NOW, &limits));
        for id in 100..100 + limits.remembered_ids as u64 {
            assert!(recent.insert(id, NOW, &limits));
        }
        assert!(recent.insert(7, NOW, &limits));
        assert_eq!(recent.0.len(), limits.remembered_ids);
    }

    #[test]
    fn an_id_is_forgotten_after_its_time() {
        let (mut recent, limits) = (Recent::default(), Limits::default());
        assert!(recent.insert(7, NOW, &limits));
        assert!(!recent.insert(7, NOW + limits.remembered_for, &limits));
        assert!(recent.insert(7, NOW + limits.remembered_for + Duration::from_millis(1), &limits));
    }

    #[test]
    fn id_zero_is_never_a_repetition() {
        let (mut recent, limits) = (Recent::default(), Limits::default());
        assert!(recent.insert(0, NOW, &limits));
        assert!(recent.insert(0, NOW, &limits));
    }

    #[test]
    fn nothing_is_remembered_where_nothing_may_be() {
        let limits = Limits { remembered_ids: 0, ..Limits::default() };
        let mut recent = Recent::default();
        assert!(recent.insert(7, NOW, &limits));
        assert!(recent.insert(7, NOW, &limits));
        assert!(recent.0.is_empty());
    }
}
