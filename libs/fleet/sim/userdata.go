package sim

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// agentConfig is what the user data of an instance tells its ECS agent.
type agentConfig struct {
	cluster        string
	attributes     map[string]string
	tags           []Tag
	reservedMemory int64
	drainOnSpot    bool
	deadline       time.Time     // after which the instance shuts down instead of joining
	bootWithin     time.Duration // after launch; later it shuts down; 0 is no limit
}

var (
	// A setting of the agent as it is written into /etc/ecs/ecs.config, by a here-document
	// or by echo.
	agentSetting = regexp.MustCompile(`(?:^|[\s"'])(ECS_[A-Z0-9_]+)=(.*)$`)
	// The end of an echo: a quote and a redirection into the file.
	redirection = regexp.MustCompile(`["']?\s*>>?\s*\S*ecs\.config\S*\s*$`)
	// A time after which the instance is not to join, in any line that names a deadline.
	deadlineLine = regexp.MustCompile(`(?i)deadline\D*?["'= ]([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9]{2}:[0-9]{2})|[0-9]{10})\b`)
	// A test of how many seconds ago the instance was launched.
	bootGuard = regexp.MustCompile(`date \+%s\b.*date -d .*-gt ["']?([0-9]{1,9})\b`)
	// A key of a Bottlerocket settings file.
	tomlKey = regexp.MustCompile(`^\s*"?([A-Za-z0-9_./-]+)"?\s*=\s*(.+?)\s*$`)
)

// parseUserData reads user data as the machine would: shell scripts (plain or in a MIME
// message) that write agent settings, or the TOML of Bottlerocket. What it does not
// understand has no effect.
func parseUserData(text string) agentConfig {
	var a agentConfig
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := deadlineLine.FindStringSubmatch(line); m != nil {
			a.setDeadline(m[1])
		}
		if m := bootGuard.FindStringSubmatch(line); m != nil {
			seconds, _ := strconv.Atoi(m[1])
			a.bootWithin = time.Duration(seconds) * time.Second
		}
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "#") {
			continue
		}
		if strings.HasPrefix(trimmed, "[settings.") && strings.HasSuffix(trimmed, "]") {
			section = strings.Trim(trimmed, "[]")
			continue
		}
		if m := agentSetting.FindStringSubmatch(line); m != nil {
			value := strings.TrimSpace(redirection.ReplaceAllString(m[2], ""))
			a.set(m[1], unquote(value))
			continue
		}
		if m := tomlKey.FindStringSubmatch(line); m != nil && section != "" {
			a.setTOML(section, m[1], unquote(m[2]))
		}
	}
	return a
}

func (a *agentConfig) set(name, value string) {
	switch name {
	case "ECS_CLUSTER":
		a.cluster = value
	case "ECS_INSTANCE_ATTRIBUTES":
		var attributes map[string]string
		if json.Unmarshal([]byte(value), &attributes) == nil {
			a.attributes = attributes
		}
	case "ECS_CONTAINER_INSTANCE_TAGS":
		var tags map[string]string
		if json.Unmarshal([]byte(value), &tags) == nil {
			//neap:unordered sorted below
			for k, v := range tags {
				a.tags = append(a.tags, Tag{k, v})
			}
			a.tags = sortedTags(a.tags)
		}
	case "ECS_RESERVED_MEMORY":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
			a.reservedMemory = n
		}
	case "ECS_ENABLE_SPOT_INSTANCE_DRAINING":
		a.drainOnSpot = value == "true"
	}
}

func (a *agentConfig) setTOML(section, key, value string) {
	switch {
	case section == "settings.ecs.instance-attributes":
		if a.attributes == nil {
			a.attributes = map[string]string{}
		}
		a.attributes[key] = value
	case section != "settings.ecs":
	case key == "cluster":
		a.set("ECS_CLUSTER", value)
	case key == "reserved-memory":
		a.set("ECS_RESERVED_MEMORY", value)
	case key == "enable-spot-instance-draining":
		a.set("ECS_ENABLE_SPOT_INSTANCE_DRAINING", value)
	}
}

func (a *agentConfig) setDeadline(text string) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		a.deadline = t
		return
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		a.deadline = time.Unix(n, 0).UTC()
	}
}

// unquote takes one pair of quotes off.
func unquote(s string) string {
	if len(s) >= 2 && slices.Contains([]byte(`"'`), s[0]) && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
