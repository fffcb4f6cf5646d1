//! What the user sees: refused events on standard output, progress and summary on standard error.

use std::io::{ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use levada_client::{Cause, Failed, Verdict};
use levada_wire::Outcome;

use super::input::Progress;
use crate::exit::{Exit, Failure};

pub(super) struct Report {
    quiet: bool,
    progress: Progress,
    bar: ProgressBar,
    begun: Instant,
    accepted: u64,
    refused: u64,
    last_line: u64,
    stopped: Option<Stopped>,
}

/// Where there was no point in going on, and what is known of the events behind it.
struct Stopped {
    line: u64,
    failed: Failed,
    /// Events behind it that were accepted, and the last line of them.
    accepted: u64,
    last_accepted: u64,
    /// Whether others may be stored.
    perhaps: bool,
}

impl Report {
    pub(super) fn new(quiet: bool, progress: Progress) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let target = if shown {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(progress.total, target);
        let template = match progress.total {
            Some(_) => "{bar:30} {bytes}/{total_bytes}  {msg}  {eta} left",
            None => "{spinner} {bytes}  {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            quiet,
            progress,
            bar,
            begun: Instant::now(),
            accepted: 0,
            refused: 0,
            last_line: 0,
            stopped: None,
        }
    }

    /// Notes the verdict on the event of a line.
    pub(super) fn event(&mut self, line: u64, verdict: Verdict) -> Result<(), Failure> {
        match verdict {
            Verdict::Accepted => {
                self.accepted += 1;
                if let Some(stopped) = &mut self.stopped {
                    stopped.accepted += 1;
                    stopped.last_accepted = line;
                }
            }
            Verdict::Invalid { code, message } => self.refuse(line, &code, &message)?,
            Verdict::Failed(Failed {
                cause: Cause::Fault,
                code,
                message,
                outcome,
            }) => {
                let perhaps = if outcome == Outcome::Unknown {
                    if let Some(stopped) = &mut self.stopped {
                        stopped.perhaps = true;
                    }
                    " (it may be stored)"
                } else {
                    ""
                };
                self.refuse(line, &code, &format!("{message}{perhaps}"))?;
            }
            Verdict::Failed(failed) => match &mut self.stopped {
                Some(stopped) => stopped.perhaps |= failed.outcome != Outcome::Nothing,
                none => {
                    *none = Some(Stopped {
                        line,
                        failed,
                        accepted: 0,
                        last_accepted: line,
                        perhaps: false,
                    });
                }
            },
        }
        self.last_line = line;
        if !self.bar.is_hidden() {
            self.bar.set_position(self.progress.read());
            self.bar
                .set_message(format!("{} events, {}", self.accepted, self.rate()));
        }
        Ok(())
    }

    /// Whether there is no point in going on.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Why there is no point in going on, if so, and what is known of the rest, of which some is still
    /// `under_way`.
    pub(super) fn failure(&self, under_way: bool) -> Option<Failure> {
        self.stopped.as_ref().map(|stopped| stopped.failure(under_way))
    }

    fn refuse(&mut self, line: u64, code: &str, message: &str) -> Result<(), Failure> {
        self.refused += 1;
        let message = message.replace(['\n', '\r'], " ");
        let written = self
            .bar
            .suspend(|| writeln!(std::io::stdout(), "line {line}: {code}: {message}"));
        match written {
            // Nobody reads the list; the exit code still tells.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::io("standard output", &error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn last_line(&self) -> u64 {
        self.last_line
    }

    /// Takes the progress bar away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints the totals.
    pub(super) fn summary(&self) {
        self.clear();
        if !self.quiet {
            let seconds = self.begun.elapsed().as_secs_f64();
            eprintln!(
                "levada: {} events accepted, {} refused, in {seconds:.1} s ({})",
                self.accepted,
                self.refused,
                self.rate()
            );
        }
    }

    fn rate(&self) -> String {
        let elapsed = self.begun.elapsed().max(Duration::from_millis(1));
        format!("{:.0}/s", self.accepted as f64 / elapsed.as_secs_f64())
    }
}

impl Stopped {
    fn failure(&self, under_way: bool) -> Failure {
        let Self { line, failed, .. } = self;
        let exit = match failed.cause {
            Cause::Denied | Cause::Unexpected => Exit::Refused,
            _ => Exit::Unavailable,
        };
        let itself = match failed.outcome {
            Outcome::Nothing => "was not stored",
            _ => "may be stored",
        };
        let mut rest = match failed.outcome {
            Outcome::Nothing if self.accepted == 0 && !self.perhaps && !under_way => {
                "the event of that line and what follows were not stored".to_owned()
            }
            _ => format!("the event of that line {itself}"),
        };
        if self.accepted > 0 {
            let (accepted, last) = (self.accepted, self.last_accepted);
            rest.push_str(&format!(
                "; of those behind it {accepted} were accepted, the last at line {last}"
            ));
        }
        if self.perhaps || under_way {
            rest.push_str("; others behind it may be stored");
        }
        let (code, message) = (&failed.code, &failed.message);
        Failure::new(exit, format!("stopped at line {line}: {code}: {message}; {rest}"))
    }
}
