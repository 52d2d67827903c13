package frame

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// configure adds what the config files say to the options that were not given. Of the
// files, the system's wins over the one at home, and that over the one that was named
// (docs/spec/cli.md §1): surprising, but what existing scripts live with.
func (p *parsed) configure(e Env) error {
	named, must := p.options["config"], true
	if named == "" || p.command().OwnConfig {
		named = e.UtilsConfig
	}
	for _, file := range []struct {
		path string
		must bool
	}{{e.SystemConfig, false}, {e.HomeConfig, false}, {named, must}} {
		if file.path == "" {
			continue
		}
		settings, err := readConfig(file.path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !file.must:
			continue
		case err != nil:
			return fmt.Errorf("read config: %w", err)
		}
		for _, o := range p.known() {
			if value, ok := settings[o.Config]; ok && o.Config != "" && p.options[o.Name] == "" {
				p.options[o.Name] = value
			}
		}
	}
	return nil
}

func readConfig(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseConfig(f)
}

// parseConfig reads lines key = value. A # begins a comment at the start of a line or after
// a blank, so that passwords may contain one.
func parseConfig(r io.Reader) (map[string]string, error) {
	settings := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, ok := strings.Cut(withoutComment(lines.Text()), "=")
		if !ok {
			continue
		}
		settings[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
	return settings, lines.Err()
}

func withoutComment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}
