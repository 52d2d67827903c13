// Package upkeep has real processes keep files at their number of copies: two trackers on
// one MariaDB and three storage nodes with two devices each, all of them started by
// package process.
//
// Each test has an installation of its own, which it fills with files of mixed sizes
// through both trackers: of these, one copies a file, and the other leaves it alone.
// Then a device dies, a hand breaks files on disk, or an operator has files moved; in
// the middle of it the tracker at work is killed, and the other one has to finish. The
// tests run side by side, as most of their time goes by in waiting for what the dead
// tracker had claimed. In the end every file that was acknowledged is there, whole, and
// as often as it should be.
//
// What runs through several rooms but is not about upkeep is in tests/endtoend and
// tests/crash; the same jobs under a clock that can be turned are in tests/simulation.
package upkeep
