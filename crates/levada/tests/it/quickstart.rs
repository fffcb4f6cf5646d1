//! The quickstart's own streams, as a reader would make them: the files and the commands are those of the
//! page.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::server::{Server, binary};

/// The text of the block behind the first place where `before` stands.
fn block<'p>(page: &'p str, before: &str) -> &'p str {
    let rest = page
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before:?}"))
        .1;
    let body = rest.split_once("```").unwrap().1;
    let (_, body) = body.split_once('\n').unwrap();
    body.split_once("```").unwrap().0
}

/// Runs the lines of a block of shell, in which `levada` is the built binary.
fn shell(at: &Path, lines: &str, url: &str) -> Output {
    let folder = at.join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let link = folder.join("levada");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_levada"), link).unwrap();
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    Command::new("sh")
        .args(["-e", "-c", lines])
        .current_dir(at)
        .env("PATH", path)
        .env("LEVADA_URL", url)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// `cargo run --release -- dev` names no package, so the workspace has to. Nothing is built here.
#[test]
fn the_first_command_of_the_readme_runs_levada() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    assert_eq!(block(&readme, "## Try it").trim(), "cargo run --release -- dev");
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    let workspace: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let runs: Vec<&str> = (workspace["packages"].as_array().unwrap().iter())
        .filter(|package| {
            let defaults = workspace["workspace_default_members"].as_array().unwrap();
            defaults.contains(&package["id"])
        })
        .flat_map(|package| package["targets"].as_array().unwrap())
        .filter(|target| {
            target["kind"]
                .as_array()
                .unwrap()
                .iter()
                .any(|kind| kind == "bin")
        })
        .map(|target| target["name"].as_str().unwrap())
        .collect();
    assert_eq!(runs, ["levada"], "what `cargo run` has to choose from");
}

#[test]
fn the_quickstart_works_as_it_is_written() {
    let page = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/guide/quickstart.md"
    ))
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["levada.toml", "streams.yaml", "schemas/note/1.0.0.yaml"] {
        let path = at.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, block(&page, &format!("`{name}`"))).unwrap();
    }
    std::fs::copy(
        at.join("schemas/note/1.0.0.yaml"),
        at.join("schemas/note/latest.yaml"),
    )
    .unwrap();
    let commands = block(&page, "Check and serve them");
    let (checks, serve) = commands.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(serve, "levada serve --config levada.toml");
    let checked = shell(at, checks, "");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{checked:?}");
    assert!(
        said.contains("the configuration is in order") && said.contains("0 errors, 0 warnings"),
        "{said}"
    );
    let mut command = binary();
    command
        .args(["serve", "--config", "levada.toml", "--listen", "127.0.0.1:0"])
        .current_dir(at);
    let server = Server::spawn(command);
    let posted = shell(
        at,
        block(&page, "levada serve --config levada.toml\n```"),
        &server.url(),
    );
    let read = String::from_utf8_lossy(&posted.stdout).into_owned();
    assert!(posted.status.success(), "{posted:?}");
    assert!(
        read.contains("\"text\": \"Hello\"") && read.contains("\"id\":\""),
        "{read}"
    );
}
