//! The console in a real browser, Chromium: what an operator does, with the mouse and with the keyboard, with JavaScript and without.
//!
//! `make browser` installs what these tests need, as `make test` does.

mod accessibility;
mod company;
mod keyboard;
mod leaver;
mod rotation;
mod rules;
mod screens;
mod screenshots;
mod search;
mod setup;
