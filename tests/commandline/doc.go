// Package commandline has tests of caddy mogilefs as operators run it: the real command, in
// shells and scripts, against a running store. What each command writes is tested in
// package cli.
package commandline
