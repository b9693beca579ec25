//! The device's identity over restarts: a small file in a directory that one account keeps to itself.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

use agora_chat::{Config, Device};
use serde::{Deserialize, Serialize};

const FILE: &str = "device.json";
const VERSION: u32 = 1;
/// More than any file of ours has.
const LARGEST: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    resource: String,
}

/// Gives the configuration the device kept in `dir`, or keeps there the random one it has.
///
/// A damaged file costs the identity but nothing else: it is set aside, and stderr says so.
///
/// # Errors
/// When the directory cannot be made, read or written.
pub(crate) fn keep(config: Config, dir: &Path) -> io::Result<Config> {
    make_private(dir)?;
    let path = dir.join(FILE);
    match File::open(&path) {
        Ok(file) => {
            let mut text = Vec::new();
            file.take(LARGEST).read_to_end(&mut text)?;
            match read(&config, &text) {
                Ok(config) => return Ok(config),
                Err(problem) => set_aside(&path, &problem)?,
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    write(dir, &Stored { version: VERSION, resource: config.resource().to_owned() })?;
    Ok(config)
}

fn read(config: &Config, text: &[u8]) -> Result<Config, String> {
    let stored: Stored = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if stored.version != VERSION {
        return Err(format!("its version is {}, and this program knows {VERSION}", stored.version));
    }
    config.clone().device(Device::new(stored.resource)).map_err(|error| error.to_string())
}

/// One damaged file is kept, the newest.
fn set_aside(path: &Path, problem: &str) -> io::Result<()> {
    let aside = path.with_extension("json.damaged");
    fs::rename(path, &aside)?;
    let (path, aside) = (path.display(), aside.display());
    let _nobody_reads = writeln!(
        io::stderr(),
        "connect: {path} cannot be used ({problem}). It is now {aside}, and this is a new device to the service."
    );
    Ok(())
}

/// Whole or not at all, and for this user's eyes only: temporary files are made with mode 0600.
fn write(dir: &Path, stored: &Stored) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer(&mut file, stored)?;
    file.as_file().sync_all()?;
    file.persist(dir.join(FILE))?;
    Ok(())
}

fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}
