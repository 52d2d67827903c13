// Package files is the tools for files: upload, fetch, ls, rm, mv, info, debug and fids,
// and import and export of many.
//
// Each has the options, output and exit codes of the tool that it follows
// (docs/spec/cli.md §4), such as upload of mogupload, and does more besides: many files at once,
// directories, going on where a broken run ended. Bytes are moved by cli/transfer; many at a
// time by a batch (batch.go), which counts what was done, shows progress, and ends in order
// when it is interrupted.
package files
