package metrics

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// series is the name of a metric with its labels, as they are sorted.
type series struct{ name, labels string }

// scrape is what was found in one look.
type scrape struct {
	values map[series]float64
	labels map[string]map[string]bool // of each name
	types  map[string]string
}

var (
	line  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	label = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?`)
)

// parse reads Prometheus' text format. A series that is there twice is an error, as is a line that is none.
func parse(text string) (scrape, error) {
	s := scrape{map[series]float64{}, map[string]map[string]bool{}, map[string]string{}}
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		if fields := strings.Fields(l); len(fields) == 4 && fields[0] == "#" && fields[1] == "TYPE" {
			s.types[fields[2]] = fields[3]
		}
		if l == "" || l[0] == '#' {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			return s, fmt.Errorf("no sample: %q", l)
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return s, fmt.Errorf("no number in %q: %w", l, err)
		}
		pairs := map[string]string{}
		for _, p := range label.FindAllStringSubmatch(m[2], -1) {
			pairs[p[1]] = p[2]
		}
		key := series{m[1], join(pairs)}
		if _, twice := s.values[key]; twice {
			return s, fmt.Errorf("%s{%s} is there twice", key.name, key.labels)
		}
		s.values[key] = v
		if s.labels[key.name] == nil {
			s.labels[key.name] = map[string]bool{}
		}
		for name := range pairs {
			s.labels[key.name][name] = true
		}
	}
	return s, nil
}

func join(labels map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, name+"="+labels[name])
	}
	return strings.Join(all, ",")
}

// sum adds up the series of a name that have all of the labels, as in method=GET.
func (s scrape) sum(name string, labels ...string) float64 {
	total := 0.0
	for key, v := range s.values {
		if key.name == name && hasAll(key.labels, labels) {
			total += v
		}
	}
	return total
}

func hasAll(labels string, want []string) bool {
	have := strings.Split(labels, ",")
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// ours is the series of this plugin.
func (s scrape) ours() []series {
	var all []series
	for key := range s.values {
		if strings.HasPrefix(key.name, "caddy_mogilefs_") {
			all = append(all, key)
		}
	}
	return all
}

// isCounter reports whether a series only ever grows.
func (s scrape) isCounter(name string) bool {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if family, ok := strings.CutSuffix(name, suffix); ok && s.types[family] == "histogram" {
			return true
		}
	}
	return s.types[name] == "counter"
}
