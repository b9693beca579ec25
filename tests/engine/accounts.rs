//! An account that cannot be right is refused before anything is asked for or sent.

use agora_chat::{
    Account, Code, ConnectionState, OpenError,
    account::Device,
    errors::ConfigError,
    session::{Action, Input},
};

use crate::sim::{Sim, alice, by_token, config};

fn refused(account: Account) -> OpenError {
    let mut sim = Sim::new(config());
    let did = sim.step(Input::Open(account));
    assert_eq!(sim.engine.state(), ConnectionState::LoggedOut);
    // The next login is not disturbed by it.
    assert!(matches!(&sim.step(by_token()).0[..], [Action::Connect { .. }]));
    match &did.0[..] {
        [Action::Rejected(error)] => error.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_that_cannot_be_one_is_refused_with_its_part() {
    let long = "x".repeat(Device::MAX_RESOURCE + 1);
    for resource in ["", ".", "..", "a/b", "a b", "a@b", "a\u{7f}", long.as_str()] {
        let error = refused(alice().device(Device::new(resource)));
        assert!(matches!(&error, OpenError::Account(ConfigError::Device { .. })), "{resource:?}: {error:?}");
        assert!(error.is_final() && error.code() == Code::OPEN_ERROR, "{error:?}");
    }
    for platform in [0, 101] {
        let mut device = Device::new("desk");
        device.platform = Some(platform);
        let error = refused(alice().device(device));
        assert!(matches!(error, OpenError::Account(ConfigError::Device { what: "platform number", .. })), "{error:?}");
    }
}

#[test]
fn a_login_text_is_at_most_1024_characters() {
    let error = refused(alice().login_ext("\u{e4}".repeat(Account::MAX_LOGIN_EXT + 1)));
    assert!(error.to_string().contains("1024 characters"), "{error}");
    let mut sim = Sim::new(config());
    let did = sim.step(Input::Open(alice().login_ext("\u{e4}".repeat(Account::MAX_LOGIN_EXT))));
    assert!(matches!(&did.0[..], [Action::Connect { .. }]), "{did:?}");
}
