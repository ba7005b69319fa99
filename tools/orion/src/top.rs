// SPDX-License-Identifier: MIT
//! `orion top`: a running system, live.
use crate::Outcome;
use crate::live::{LookArgs, Manager, State, Table, View, count, tables};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};
use ratatui::{DefaultTerminal, Frame};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Rates that are remembered for the picture of the past.
const PAST: usize = 240;

/// Arguments of `orion top`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    look: LookArgs,
}

/// What is shown.
struct Screen {
    view: View,
    /// Requests a second that the gatekeeper let pass, the oldest first.
    past: VecDeque<u64>,
    /// Lines that are scrolled away.
    scrolled: usize,
    /// Why there is nothing newer.
    lost: Option<String>,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Quit,
    Up,
    Down,
    Nothing,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let interval = Some(self.look.interval()?).filter(|interval| !interval.is_zero());
        let interval = interval.ok_or("--interval: give a number of seconds above 0, as in --interval 2")?;
        let mut manager = self.look.connect()?;
        let screen = Screen::new(manager.state()?);
        let terminal = ratatui::try_init()
            .map_err(|error| format!("this is no terminal that can be drawn on: {error}; use `orion status`"))?;
        let result = live(terminal, screen, &mut manager, interval);
        ratatui::restore();
        result.map_err(|error| format!("the terminal: {error}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn live(
    mut terminal: DefaultTerminal,
    mut screen: Screen,
    manager: &mut Manager,
    interval: Duration,
) -> std::io::Result<()> {
    let mut next = Instant::now() + interval;
    loop {
        terminal.draw(|frame| screen.draw(frame))?;
        if event::poll(next.saturating_duration_since(Instant::now()))? {
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => match wish(key) {
                    Wish::Quit => return Ok(()),
                    Wish::Up => screen.scrolled = screen.scrolled.saturating_sub(1),
                    Wish::Down => screen.scrolled = screen.scrolled.saturating_add(1),
                    Wish::Nothing => {}
                },
                _ => {}
            }
        }
        if Instant::now() >= next {
            next = Instant::now() + interval;
            screen.look(manager.state());
        }
    }
}

fn wish(key: KeyEvent) -> Wish {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Wish::Quit,
        // In raw mode it is a key like any other.
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Wish::Quit,
        KeyCode::Up | KeyCode::Char('k') => Wish::Up,
        KeyCode::Down | KeyCode::Char('j') => Wish::Down,
        _ => Wish::Nothing,
    }
}

impl Screen {
    fn new(state: State) -> Self {
        Self { view: View::new(state, None), past: VecDeque::new(), scrolled: 0, lost: None }
    }

    /// Takes the next state, or why there is none: what was seen last stays.
    fn look(&mut self, state: Result<State, String>) {
        match state {
            Err(why) => self.lost = Some(why),
            Ok(state) => {
                let before = self.view.state.clone();
                self.view = View::new(state, Some(before));
                self.past.push_back(self.rate());
                if self.past.len() > PAST {
                    self.past.pop_front();
                }
            }
        }
    }

    /// Requests a second that passed, all clients together.
    fn rate(&self) -> u64 {
        let sum: f64 = self.view.state.holdings.iter().filter_map(|holding| self.view.used(holding)).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for a picture; it saturates")]
        let rate = sum as u64;
        rate
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, past, body] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(3), Constraint::Min(0)]).areas(frame.area());
        frame.render_widget(Paragraph::new(self.heading()), head);
        let width = usize::from(past.width);
        let shown: Vec<u64> = self.past.iter().skip(self.past.len().saturating_sub(width)).copied().collect();
        frame.render_widget(Sparkline::default().data(&shown).style(Style::new().fg(Color::Cyan)), past);
        self.tables(frame, body);
    }

    fn heading(&self) -> Line<'static> {
        let last = self.past.back().copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = count(last as f64);
        let mut spans = vec![
            Span::from("orion top").bold(),
            Span::from(format!("  {} protection domains  {rate} requests/s  ", self.view.state.pds.len())),
            Span::from("q quits, up and down scroll").dim(),
        ];
        if let Some(why) = &self.lost {
            spans = vec![Span::from(format!("{why}; q quits")).fg(Color::Red)];
        }
        Line::from(spans)
    }

    fn tables(&mut self, frame: &mut Frame<'_>, body: Rect) {
        let lines: Vec<Line<'static>> = tables(&self.view).iter().flat_map(lines).collect();
        let most = lines.len().saturating_sub(usize::from(body.height));
        self.scrolled = self.scrolled.min(most);
        let scrolled = u16::try_from(self.scrolled).unwrap_or(u16::MAX);
        frame.render_widget(Paragraph::new(lines).scroll((scrolled, 0)), body);
    }
}

/// A table as lines, with an empty one after it.
fn lines(table: &Table) -> Vec<Line<'static>> {
    let mut lines = vec![
        Line::from(table.title.to_owned()).bold(),
        Line::from(format!(" {}", table.line(table.headings.iter().copied()))).dim(),
    ];
    for row in &table.rows {
        let line = Line::from(format!(" {}", table.line(row.iter().map(String::as_str))));
        // What is not as it should be.
        let bad = ["silent", "unreadable", "closed", "frozen", "failing"];
        let odd = row.iter().any(|cell| bad.contains(&cell.as_str()));
        lines.push(if odd { line.fg(Color::Yellow) } else { line });
    }
    lines.push(Line::default());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::sample;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn shown(screen: &mut Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn screen() -> Screen {
        let mut screen = Screen::new(sample(1_000_000_000, 1000));
        screen.look(Ok(sample(3_000_000_000, 5000)));
        screen
    }

    #[test]
    fn rates_latencies_and_rights_are_shown() {
        let text = shown(&mut screen(), 120, 40);
        for part in ["2 protection domains", "2000 requests/s", "blk_d0", "vault", "demo:0", "frozen", "read write"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn any_terminal_is_drawn_on_and_scrolled_no_further_than_there_is() {
        let mut screen = screen();
        for (width, height) in [(1, 1), (3, 2), (20, 6), (80, 24), (400, 100)] {
            screen.scrolled = usize::MAX;
            shown(&mut screen, width, height);
            assert!(screen.scrolled < 100);
        }
        screen.scrolled = 0;
        assert!(shown(&mut screen, 120, 12).contains("Protection domains"));
        screen.scrolled = 9;
        assert!(!shown(&mut screen, 120, 12).contains("Protection domains"));
    }

    #[test]
    fn what_was_seen_last_stays_when_the_system_is_gone() {
        let mut screen = screen();
        screen.look(Err("the manager has closed the connection".to_owned()));
        let text = shown(&mut screen, 100, 30);
        assert!(text.contains("closed the connection; q quits") && text.contains("blk_d0"), "{text}");
    }

    #[test]
    fn keys() {
        let key = |code, modifiers| wish(KeyEvent::new(code, modifiers));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Wish::Quit);
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Wish::Quit);
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), Wish::Nothing);
        assert_eq!(key(KeyCode::Down, KeyModifiers::NONE), Wish::Down);
    }
}
