//! The vocabulary of Levada: names, events, records, positions, cursors, field paths, time and limits.
