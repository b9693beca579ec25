//! Faults of the server and of the links to it.

use std::{sync::atomic::Ordering, time::Duration};

use crate::local_server::{
    error::LocalServerError,
    faults::{RefuseProvisions, RefuseUpgrades, RestFault, SendFault, SendFaultKind, header_value},
    handle::server::LocalServer,
    net::Cut,
};

impl LocalServer {
    /// Cuts the links of a user's devices; returns how many. A REST call under way has a link of its own.
    pub fn drop_links(&self, user: &str, cut: Cut) -> usize {
        self.shared.change(|state| state.cut_user(user, cut))
    }

    /// Cuts the links of a random share of the sessions, from 0 to 1, rounded to the nearest number of them; returns how many.
    /// The same seed draws the same devices as long as the same ones are online.
    pub fn cut_some(&self, share: f64, seed: u64, cut: Cut) -> usize {
        self.shared.change(|state| state.cut_some(share, seed, cut))
    }

    /// Cuts every link, including those of REST calls; returns how many.
    pub fn drop_all(&self, cut: Cut) -> usize {
        self.shared.change(|state| state.cut_all(cut))
    }

    /// Stalls the links of a user's devices; returns how many there were. TCP stays up and no byte moves in either
    /// direction, as when a network dies silently. See [`resume_links`](Self::resume_links).
    pub fn stall_links(&self, user: &str) -> usize {
        self.shared.change(|state| state.stall_user(user, true))
    }

    /// Resumes the stalled links of a user's devices; returns how many there were. Delayed bytes arrive.
    pub fn resume_links(&self, user: &str) -> usize {
        self.shared.change(|state| state.stall_user(user, false))
    }

    /// Sets whether the server is silent: it then accepts connections, reads everything and answers nothing, neither REST
    /// calls nor upgrades, frames or pings. They are not answered afterwards either: REST calls and upgrades that came
    /// meanwhile are cut off when the silence ends. Default: no.
    pub fn set_silent(&self, silent: bool) {
        self.shared.set_silent(silent);
    }

    /// Delays everything the server sends, by at most an hour and in order. Default: no delay.
    pub fn set_delay(&self, delay: Duration) {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(ms.min(3_600_000), Ordering::Relaxed);
    }

    /// Refuses every PROVISION with this `Status` number and reason (connection spec §6.3).
    ///
    /// ```
    /// # use agora_chat::local_server::{LocalServer, LocalServerError};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), LocalServerError> {
    /// let server = LocalServer::start().await?;
    /// server.refuse_provisions(7, Some("the app online count limit")); // `RefusalKind::OnlineLimit`
    /// server.refuse_provisions(7, Some("the app day live count limit")); // `DailyActiveLimit`
    /// server.refuse_provisions(12, None); // `ServingDisabled`
    /// server.accept_provisions();
    /// # Ok(())
    /// # }
    /// ```
    pub fn refuse_provisions(&self, status: i32, reason: Option<&str>) {
        self.refuse(status, reason, None, None);
    }

    /// Refuses the next `times` PROVISIONs, then accepts again.
    pub fn refuse_next_provisions(&self, times: u32, status: i32, reason: Option<&str>) {
        self.refuse(status, reason, None, Some(times));
    }

    /// Answers every PROVISION with a redirect to another server (connection spec §6.4).
    pub fn redirect_provisions(&self, host: &str, port: u16) {
        self.refuse(crate::wire::status::ErrorCode::Redirect as i32, None, Some((host.to_owned(), port)), None);
    }

    /// Refuses one user's PROVISIONs, the next `times` or all of them; a later call of this for the user takes its place.
    ///
    /// # Errors
    /// [`LocalServerError::Full`] when 64 users are refused already.
    pub fn refuse_provisions_of(
        &self,
        user: &str,
        times: Option<u32>,
        status: i32,
        reason: Option<&str>,
    ) -> Result<(), LocalServerError> {
        let refusal = RefuseProvisions { left: times, ..RefuseProvisions::always(status, reason.map(str::to_owned)) };
        self.shared.change(|state| state.faults.refuse_user(user.to_lowercase(), refusal))
    }

    /// Accepts one user's PROVISIONs again.
    pub fn accept_provisions_of(&self, user: &str) {
        self.shared.change(|state| state.faults.accept_user(&user.to_lowercase()));
    }

    /// Accepts PROVISIONs again, except those of users who are refused by themselves.
    pub fn accept_provisions(&self) {
        self.shared.change(|state| state.faults.provisions = None);
    }

    fn refuse(&self, status: i32, reason: Option<&str>, redirect: Option<(String, u16)>, left: Option<u32>) {
        let refusal = RefuseProvisions { status, reason: reason.map(str::to_owned), redirect, left };
        self.shared.change(|state| state.faults.provisions = Some(refusal));
    }

    /// Refuses every WebSocket upgrade with this HTTP status and, if given, `Retry-After`.
    ///
    /// # Errors
    /// [`LocalServerError::Header`] for a status outside 200 to 599 or a malformed header value.
    pub fn refuse_upgrades(&self, status: u16, retry_after: Option<&str>) -> Result<(), LocalServerError> {
        self.set_upgrades(status, retry_after, None)
    }

    /// Refuses the next `times` upgrades, then accepts again.
    ///
    /// # Errors
    /// As [`refuse_upgrades`](Self::refuse_upgrades).
    pub fn refuse_next_upgrades(
        &self,
        times: u32,
        status: u16,
        retry_after: Option<&str>,
    ) -> Result<(), LocalServerError> {
        self.set_upgrades(status, retry_after, Some(times))
    }

    /// Accepts upgrades again.
    pub fn accept_upgrades(&self) {
        self.shared.change(|state| state.faults.upgrades = None);
    }

    fn set_upgrades(&self, status: u16, retry_after: Option<&str>, left: Option<u32>) -> Result<(), LocalServerError> {
        let known =
            actix_http::StatusCode::from_u16(status).ok().filter(|status| (200..600).contains(&status.as_u16()));
        let status = known.ok_or_else(|| LocalServerError::Header(status.to_string()))?;
        let retry_after = retry_after.map(header_value).transpose()?;
        self.shared.change(|state| state.faults.upgrades = Some(RefuseUpgrades { status, retry_after, left }));
        Ok(())
    }

    /// Refuses everything a user sends, chat and room requests, with this `Status` number and reason (messages spec
    /// §1.9). Of several faults of a user the first added applies.
    ///
    /// # Errors
    /// [`LocalServerError::Full`] when there are 64 faults already.
    pub fn refuse_sends(&self, user: &str, status: i32, reason: Option<&str>) -> Result<(), LocalServerError> {
        self.fail_sends(user, None, SendFaultKind::Refuse(status, reason.map(str::to_owned)))
    }

    /// Refuses the next `times` sends of a user, then accepts them again.
    ///
    /// # Errors
    /// As [`refuse_sends`](Self::refuse_sends).
    pub fn refuse_next_sends(
        &self,
        user: &str,
        times: u32,
        status: i32,
        reason: Option<&str>,
    ) -> Result<(), LocalServerError> {
        self.fail_sends(user, Some(times), SendFaultKind::Refuse(status, reason.map(str::to_owned)))
    }

    /// Accepts the next `times` sends of a user, and answers none of them.
    ///
    /// # Errors
    /// As [`refuse_sends`](Self::refuse_sends).
    pub fn leave_next_sends_unanswered(&self, user: &str, times: u32) -> Result<(), LocalServerError> {
        self.fail_sends(user, Some(times), SendFaultKind::Unanswered)
    }

    /// Accepts and answers a user's sends again.
    pub fn accept_sends(&self, user: &str) {
        let user = user.to_lowercase();
        self.shared.change(|state| state.faults.clear_sends(&user));
    }

    fn fail_sends(&self, user: &str, left: Option<u32>, kind: SendFaultKind) -> Result<(), LocalServerError> {
        let user = user.to_lowercase();
        self.shared.change(|state| state.faults.add_send(SendFault { user, left, kind }))
    }

    /// Sets the time after sending in which a message may be recalled; `None` refuses every recall with `message recall
    /// disabled`. Default: 2 minutes.
    pub fn set_recall_window(&self, window: Option<Duration>) {
        self.shared.change(|state| state.settings.recall = window);
    }

    /// Sets the time in which a repeated send is recognised: the same client id from the same user with the same message.
    /// It gets the first answer again, and the message is stored once. `None`: it is a new message each time. It is not
    /// known whether the service does this. Default: 10 minutes.
    pub fn set_repeat_window(&self, window: Option<Duration>) {
        self.shared.change(|state| state.settings.repeats = window);
    }

    /// Sets whether bodies pass that name another sender, receiver or kind of conversation than they have, as with a service
    /// that looks at the addresses alone. They are passed on as they came. Default: no, they are refused.
    pub fn set_forged_bodies(&self, pass: bool) {
        self.shared.change(|state| state.settings.forged_bodies = pass);
    }

    /// Sets the resource that the server names in its answer to PROVISION, for every device of a user. Default: `None`, each
    /// device's own. The name is not checked. A device that logs in under this name replaces the one before.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`] for a user that does not exist.
    pub fn name_devices(&self, user: &str, resource: Option<&str>) -> Result<(), LocalServerError> {
        let user = user.to_lowercase();
        self.shared.change(|state| {
            state.users.find(&user)?.named_device = resource.map(str::to_owned);
            Ok(())
        })
    }

    /// Injects a fault into REST and discovery calls. Of several faults that fit a call the first added applies.
    ///
    /// # Errors
    /// [`LocalServerError::Full`] when there are 64 faults already, [`LocalServerError::Header`] for a status outside 200
    /// to 599.
    pub fn fail_rest(&self, fault: RestFault) -> Result<(), LocalServerError> {
        self.shared.change(|state| state.faults.add_rest(fault))
    }

    /// Clears the REST faults of one user; see [`RestFault::of_user`].
    pub fn clear_rest_faults_of(&self, user: &str) {
        self.shared.change(|state| state.faults.clear_rest_of(&user.to_lowercase()));
    }

    /// Clears every REST fault.
    pub fn clear_rest_faults(&self) {
        self.shared.change(|state| state.faults.clear_rest());
    }
}
