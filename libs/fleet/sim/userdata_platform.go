package sim

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	// A table and a key of a Bottlerocket settings file.
	tomlTable = regexp.MustCompile(`^\[\s*([A-Za-z0-9_."-]+)\s*\]$`)
	tomlKey   = regexp.MustCompile(`^("[^"]+"|[A-Za-z0-9_.-]+)\s*=\s*(.+)$`)
	// The settings of Initialize-ECSAgent, and machine environment variables.
	ecsAgentCall = regexp.MustCompile(`(?i)\bInitialize-ECSAgent\b(.*)$`)
	ecsAgentFlag = regexp.MustCompile(`(?i)-([A-Za-z]+)(?:\s+('[^']*'|"[^"]*"|[^\s'"-][^\s]*))?`)
	windowsGuard = regexp.MustCompile(`(?i)Get-Date\b.*\.TotalSeconds\s+-gt\s+([0-9]{1,9})\b`) // seconds since the launch
	machineVar   = regexp.MustCompile(`(?i)SetEnvironmentVariable\(\s*["'](ECS_[A-Z0-9_]+)["']\s*,\s*("[^"]*"|'[^']*'|\$TRUE|\$FALSE)\s*,\s*["']Machine["']\s*\)`)
)

// parseTOML reads the settings of Bottlerocket. Anything but settings keeps the host from
// booting, so that its agent never comes up.
func parseTOML(text string) agentConfig {
	var a agentConfig
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "#!") {
			continue
		}
		if m := tomlTable.FindStringSubmatch(line); m != nil {
			table = strings.ReplaceAll(m[1], `"`, "")
			continue
		}
		m := tomlKey.FindStringSubmatch(line)
		if m == nil {
			a.broken = "it does not boot: its user data is not the settings of Bottlerocket in TOML"
			return a
		}
		key := unquote(m[1])
		if table != "" {
			key = table + "." + key
		}
		if name, ok := strings.CutPrefix(key, "settings.ecs."); ok {
			a.setTOML(name, strings.TrimSpace(m[2]))
		}
	}
	a.checkAttributes()
	return a
}

// setTOML is one setting below settings.ecs.
func (a *agentConfig) setTOML(key, value string) {
	if name, ok := strings.CutPrefix(key, "instance-attributes."); ok {
		a.attribute(name, unquote(value))
		return
	}
	plain := unquote(value)
	switch key {
	case "instance-attributes": // an inline table
		for _, pair := range strings.Split(strings.Trim(value, "{} "), ",") {
			if name, v, found := strings.Cut(pair, "="); found {
				a.attribute(unquote(strings.TrimSpace(name)), unquote(strings.TrimSpace(v)))
			}
		}
	case "cluster":
		a.set("ECS_CLUSTER", plain)
	case "reserved-memory":
		a.set("ECS_RESERVED_MEMORY", plain)
	case "container-stop-timeout":
		a.set("ECS_CONTAINER_STOP_TIMEOUT", plain)
	case "enable-spot-instance-draining":
		a.set("ECS_ENABLE_SPOT_INSTANCE_DRAINING", plain)
	case "logging-drivers":
		a.set("ECS_AVAILABLE_LOGGING_DRIVERS", value)
	case "allow-privileged-containers":
		a.turn(offPrivileged, plain == "true")
	}
}

func (a *agentConfig) attribute(name, value string) {
	if a.attributes == nil {
		a.attributes = map[string]string{}
	}
	a.attributes[name] = value
}

// parsePowerShell reads the user data of Windows: a call of Initialize-ECSAgent between
// <powershell> tags, and environment variables of the machine that are set before it.
func parsePowerShell(text string) agentConfig {
	a := agentConfig{off: []string{offPrivileged, offTaskRole, offHostRole, offENI}}
	if !strings.Contains(text, "<powershell>") {
		a.broken = "its user data does not call Initialize-ECSAgent between <powershell> tags"
		return a
	}
	initialized := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if m := windowsGuard.FindStringSubmatch(line); m != nil {
			seconds, _ := strconv.Atoi(m[1])
			a.bootWithin = time.Duration(seconds) * time.Second
		}
		for _, m := range machineVar.FindAllStringSubmatch(line, -1) {
			if word, isVariable := strings.CutPrefix(m[2], "$"); isVariable {
				a.set(m[1], strings.ToLower(word))
			} else {
				a.set(m[1], unquote(m[2]))
			}
		}
		m := ecsAgentCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		initialized = true
		for _, flag := range ecsAgentFlag.FindAllStringSubmatch(m[1], -1) {
			a.setFlag(strings.ToLower(flag[1]), unquote(flag[2]))
		}
	}
	if !initialized {
		a.broken = "its user data does not call Initialize-ECSAgent between <powershell> tags"
	}
	return a
}

// setFlag is one parameter of Initialize-ECSAgent.
func (a *agentConfig) setFlag(name, value string) {
	switch name {
	case "cluster":
		a.cluster = value
	case "enabletaskiamrole":
		a.turn(offTaskRole, true)
	case "enabletaskeni":
		a.turn(offENI, true)
	case "loggingdrivers":
		var drivers []string
		if json.Unmarshal([]byte(value), &drivers) == nil {
			a.drivers = slices.Clone(drivers)
		}
	}
}
