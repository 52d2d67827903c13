// Package packaging holds what is in packaging against its own rules: what can't be run where
// the tests run is parsed, and its parts have to fit together. The Caddyfiles there are run by
// tests/documents.
package packaging
