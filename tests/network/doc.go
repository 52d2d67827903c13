// Package network gives tests machines that share nothing but a switch: each is a network
// namespace with an address of its own, whose cable can be pulled.
//
// A package's TestMain calls [Enter] first, which has the tests run in a network of their
// own, so that nothing of it is seen on the machine. A test then makes machines with
// [NewSwitch] and [Switch.Connect], starts processes on them with [Machine.Start], and
// reaches them by their addresses.
//
// It needs root and the command ip. Where there is no root, NewSwitch says so in the test's
// log and returns nil; in continuous integration (CI=true) the test fails.
package network
