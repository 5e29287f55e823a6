//! A harvest: files packed as `tar.gz` and delivered. It knows files, and no runs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::process::Command;

use crate::sink::blocking::Blocking;
use crate::sink::destination::Destination;

/// Bytes of `scp`'s complaint that are passed on: a few lines say what went wrong, and the rest does not fit
/// a message.
const COMPLAINT_BYTES_MAX: usize = 1024;

/// Files packed into one, in a temporary directory that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Package {
    directory: PathBuf,
    path: PathBuf,
    name: String,
    files: usize,
    bytes: u64,
}

impl Drop for Package {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", self.directory.display());
        }
    }
}

impl Package {
    /// Packs files into `NAME.tar.gz`, in a temporary directory inside that one.
    ///
    /// # Errors
    /// In words for the user.
    pub(crate) fn pack(directory: &Path, name: &str, files: &[PathBuf]) -> Result<Self, String> {
        let name = format!("{name}.tar.gz");
        let directory = directory.join(format!(".{name}.part"));
        let path = directory.join(&name);
        let failed = |error: io::Error| format!("cannot pack {}: {error}", path.display());
        fs::create_dir_all(&directory).map_err(failed)?;
        let mut package = Self { directory, path: path.clone(), name, files: files.len(), bytes: 0 };
        let file = File::create(&path).map_err(failed)?;
        let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        for file in files {
            let name = file.file_name().unwrap_or_default();
            tar.append_path_with_name(file, name).map_err(failed)?;
        }
        let file = tar.into_inner().and_then(GzEncoder::finish).map_err(failed)?;
        package.bytes = file.metadata().map_err(failed)?.len();
        Ok(package)
    }

    /// Delivers the package, and returns what went where.
    ///
    /// # Errors
    /// In words for the user.
    pub(crate) async fn deliver(self, to: &Destination) -> Result<String, String> {
        let (name, files, bytes) = (self.name.clone(), self.files, self.bytes);
        let place = match to {
            Destination::Directory(directory) => {
                let directory = directory.clone();
                Blocking::new(self).run(move |package| package.copy_to(&directory)).await?
            }
            Destination::Remote(remote) => {
                self.send_to(remote).await?;
                remote.clone()
            }
        };
        let plural = if files == 1 { "" } else { "s" };
        Ok(format!("delivered {files} file{plural} as {name} ({bytes} bytes) to {place}"))
    }

    /// In the directory the package appears whole or not at all.
    fn copy_to(&self, directory: &Path) -> Result<String, String> {
        let place = directory.display().to_string();
        let failed = |error: io::Error| format!("cannot write into {place}: {error}");
        let part = directory.join(format!(".{}.{}.part", self.name, std::process::id()));
        let copied = copy(&self.path, &part).and_then(|()| fs::rename(&part, directory.join(&self.name)));
        if copied.is_err() {
            // A half copy is of no use. If there is none, this fails, which does no harm.
            let _ = fs::remove_file(&part);
        }
        copied.and_then(|()| File::open(directory)?.sync_all()).map_err(failed)?;
        Ok(place)
    }

    /// Sends the package with `scp`, which finds keys and hosts as the user has set them up. It never asks
    /// for a password, and no shell on this machine sees its arguments.
    async fn send_to(&self, remote: &str) -> Result<(), String> {
        let sent = Command::new("scp")
            .args(["-B", "-q", "--"])
            .arg(&self.path)
            .arg(remote)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output()
            .await;
        let output = sent.map_err(|error| format!("cannot start scp: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr[..output.stderr.len().min(COMPLAINT_BYTES_MAX)]);
        Err(format!("scp ended with {}: {}", output.status, said.trim().replace('\n', "; ")))
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::create(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.flush()?;
    file.sync_all()
}
