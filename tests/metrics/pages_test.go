package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alerts is docs/alerts.yml.
type alerts struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

// pages checks what docs says of metrics.
func pages(t *testing.T, now scrape) {
	t.Helper()
	for where, expr := range expressions(t) {
		used := parseExpr(expr)
		if len(used.names) == 0 {
			t.Errorf("%s: got no metric in %q", where, expr)
		}
		for _, breach := range used.check(now) {
			t.Errorf("%s: %s", where, breach)
		}
	}
	documented(t, now)
}

// expressions is all of PromQL in the docs, by where it stands.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var rules alerts
	decoder := yaml.NewDecoder(strings.NewReader(page(t, "alerts.yml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		t.Fatalf("docs/alerts.yml: %v", err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Annotations["summary"] == "" || r.Annotations["remedy"] == "" || r.Labels["severity"] == "" {
				t.Errorf("docs/alerts.yml: rule %q in %s: want an alert's name, a severity, a summary and a remedy", r.Alert, g.Name)
			}
			if _, twice := all["alert "+r.Alert]; twice {
				t.Errorf("docs/alerts.yml: there are two alerts %s", r.Alert)
			}
			all["alert "+r.Alert] = r.Expr
		}
	}
	var dashboard any
	if err := json.Unmarshal([]byte(page(t, "grafana.json")), &dashboard); err != nil {
		t.Fatalf("docs/grafana.json: %v", err)
	}
	panels := len(all)
	collect(dashboard, "dashboard", all)
	if panels == 0 || len(all) == panels {
		t.Errorf("got %d alerts and %d expressions of the dashboard; want some of each", panels, len(all)-panels)
	}
	return all
}

// collect finds the expressions below a node of the dashboard.
func collect(node any, where string, into map[string]string) {
	switch n := node.(type) {
	case map[string]any:
		if title, ok := n["title"].(string); ok {
			where += " / " + title
		}
		if expr, ok := n["expr"].(string); ok {
			into[where+" / "+expr] = expr
		}
		for _, below := range n {
			collect(below, where, into)
		}
	case []any:
		for _, below := range n {
			collect(below, where, into)
		}
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// usage is what an expression uses: metrics with the labels that it asks of each, and labels that it
// groups by.
type usage struct {
	names   []string
	matched map[string][]string
	grouped []string
}

var (
	strip    = regexp.MustCompile(`\[[^\]]*\]`) // [5m]
	token    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9a-zA-Z_.]*|\S`)
	variable = regexp.MustCompile(`\$\{?[a-zA-Z_]+\}?`)
)

// words are those of PromQL that are no functions; a list of labels follows the first.
var (
	listing = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	words   = append([]string{"and", "or", "unless", "bool", "offset"}, listing...)
)

// parseExpr takes an expression apart, as far as names go.
func parseExpr(expr string) usage {
	u := usage{matched: map[string][]string{}}
	tokens := token.FindAllString(variable.ReplaceAllString(strip.ReplaceAllString(expr, ""), "0"), -1)
	for i := 0; i < len(tokens); i++ {
		next := func() string {
			if i+1 < len(tokens) {
				return tokens[i+1]
			}
			return ""
		}
		switch word := tokens[i]; {
		case slices.Contains(listing, word) && next() == "(":
			for i += 2; i < len(tokens) && tokens[i] != ")"; i++ {
				if tokens[i] != "," {
					u.grouped = append(u.grouped, tokens[i])
				}
			}
		case !isName(word) || slices.Contains(words, word) || next() == "(":
		// An aggregation may have its labels before what it is of: sum by (x) (y).
		case slices.Contains(listing, next()):
		default:
			u.names = append(u.names, word)
			if next() == "{" {
				for i += 2; i < len(tokens) && tokens[i] != "}"; i++ {
					if isName(tokens[i]) {
						u.matched[word] = append(u.matched[word], tokens[i])
					}
				}
			}
		}
	}
	return u
}

func isName(word string) bool {
	return word[0] == '_' || word[0] >= 'a' && word[0] <= 'z' || word[0] >= 'A' && word[0] <= 'Z'
}

// added are the labels that Prometheus adds, and its own metric of a target.
var added = []string{"job", "instance"}

// check says what of an expression is not there.
func (u usage) check(now scrape) (breaches []string) {
	grouped := slices.Clone(added)
	for _, name := range u.names {
		if name == "up" {
			continue
		}
		labels := now.labels[name]
		if labels == nil {
			breaches = append(breaches, "there is no metric "+name)
			continue
		}
		for label := range labels {
			grouped = append(grouped, label)
		}
		for _, label := range u.matched[name] {
			if !labels[label] && !slices.Contains(added, label) {
				breaches = append(breaches, name+" has no label "+label)
			}
		}
	}
	for _, label := range u.grouped {
		if !slices.Contains(grouped, label) {
			breaches = append(breaches, "no metric of it has the label "+label)
		}
	}
	return breaches
}

func TestAnExpressionIsTakenApart(t *testing.T) {
	now := scrape{labels: map[string]map[string]bool{"a_total": {"x": true}, "b": {}, "c_bucket": {"le": true, "x": true}}}
	for expr, want := range map[string]string{
		`sum by (x) (rate(a_total{x="y"}[5m])) > 1`:                       "",
		`sum(rate(a_total{x=~"y|z",job="m"}[5m])) by (x, instance) and b`: "",
		`histogram_quantile(0.99, sum by (le) (rate(c_bucket[$__i])))`:    "",
		`up{job="m"} == 0`:                "",
		`a_total / ignoring(x) b`:         "",
		`d > 0`:                           "there is no metric d",
		`rate(a_total{z="y"}[5m])`:        "a_total has no label z",
		`sum by (z) (a_total)`:            "no metric of it has the label z",
		`sum(b) by (le)`:                  "no metric of it has the label le",
		`a_total > 1 and on (instance) d`: "there is no metric d",
	} {
		if got := strings.Join(parseExpr(expr).check(now), "; "); got != want {
			t.Errorf("%s: got %q; want %q", expr, got, want)
		}
	}
}

var documentedName = regexp.MustCompile("(?m)^\\| `(caddy_mogilefs_[a-z_]+)`")

// documented compares docs/metrics.md with what there is.
func documented(t *testing.T, now scrape) {
	t.Helper()
	text := page(t, "metrics.md")
	known := map[string]bool{}
	for _, m := range documentedName.FindAllStringSubmatch(text, -1) {
		if known[m[1]] {
			t.Errorf("docs/metrics.md has %s twice", m[1])
		}
		known[m[1]] = true
		if now.types[m[1]] == "" {
			t.Errorf("docs/metrics.md has %s, which is on no scrape", m[1])
		}
	}
	for name := range now.types {
		if strings.HasPrefix(name, "caddy_mogilefs_") && !known[name] {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
	}
}
