package frame

import "io"

// Env is the world that a call sees.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Program is how people call us, such as caddy mogilefs.
	Program string
	// OutTerminal and ErrTerminal say that somebody looks at it.
	OutTerminal, ErrTerminal bool
	// InTerminal says that somebody can be asked.
	InTerminal bool
	// Color says that terminals may be written to in colours.
	Color bool
	// Size is the columns and rows of the terminal; nil means that nobody knows.
	Size func() (columns, rows int)
	// SystemConfig, HomeConfig and UtilsConfig are the paths of config files, which need not
	// exist but for the last; empty means none.
	SystemConfig, HomeConfig, UtilsConfig string
}
