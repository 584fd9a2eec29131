//! Any file name in the stage's directory, at a restart: no panic; what is listed is named as a
//! staged file is, and what is not the stage's own is left alone.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use multichat::ids::Uid;
use multichat::stage::Stage;

/// The bytes are the name.
pub(crate) fn run(name: &[u8]) {
    if name.is_empty() || name.len() > 255 || name.contains(&b'/') || name.contains(&0) {
        return;
    }
    if name == b"." || name == b".." {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join(OsStr::from_bytes(name));
    fs::write(&path, "x").expect("write the file");
    let stage = Stage::open(Some(dir.path()), 1000).expect("open the stage");
    let listed = stage.list(Uid(1));
    match listed.as_slice() {
        [] => assert!(
            path.exists() || name.starts_with(b".private.") || name.starts_with(b".arriving.")
        ),
        [(id, file)] => {
            assert_eq!(format!("{id}.{}", file.extension.as_str()).as_bytes(), name);
            assert!(path.exists());
            stage.fetch(*id, Uid(1)).expect("fetch what is listed");
        }
        _ => panic!("{listed:?}"),
    }
}
