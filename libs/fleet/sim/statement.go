package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// statements are how each statement of a script is read, by its first word; the words
// behind it are given.
var statements = map[string]func(words []string) (statement, error){
	"cluster": readCluster, "task": readTask, "service": readService, "delete": readDelete, "run": readRun,
	"finish": readFinish, "protect": readProtect, "unprotect": readUnprotect, "launch": readLaunch,
	"shortage": readShortage, "plenty": readPlenty, "price": readPrice, "interrupt": readInterrupt,
	"rebalance": readRebalance, "disconnect": readDisconnect, "impair": readImpair, "drain": readDrain, "terminate": readTerminate, "stall": readStall, "events": readEvents,
	"zone": readZone, "flaps": readFlaps, "interruptions": readInterruptions, "trunks": readTrunks, "restart": readRestart,
	"deregister": readDeregister, "unhealthy": readUnhealthy,
	"group": readGroup, "provider": readProvider, "capacity": readCapacity,
	"quota": readQuota, "maintenance": readMaintenance, "reserve": readReserve, "savings-plan": readSavingsPlan,
	"stop": readStop, "start": readStart, "reboot": readReboot, "consistency": readConsistency,
	"advance": readAdvance, "throttle": readThrottle, "outage": readOutage, "slow": readSlow, "restore": readRestore,
}

// Statements are the first words of all statements, sorted.
func Statements() []string { return sortedKeys(statements) }

func parseStatement(words []string) (statement, error) {
	read := statements[words[0]]
	if read == nil {
		return nil, fmt.Errorf("%.40q is no statement: use %s", words[0], strings.Join(Statements(), ", "))
	}
	do, err := read(words[1:])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", words[0], err)
	}
	return do, nil
}

// subject takes the first words, which must be there.
func subject(words []string, names ...string) ([]string, []string, error) {
	if len(words) < len(names) {
		return nil, nil, fmt.Errorf("write %s behind it", strings.Join(names, " "))
	}
	return words[:len(names)], words[len(names):], nil
}

// named reads a statement with one subject and options.
func named(words []string, what string, allowed ...string) (string, *options, error) {
	first, rest, err := subject(words, what)
	if err != nil {
		return "", nil, err
	}
	o, err := parseOptions(rest, allowed...)
	return first[0], o, err
}

func readCluster(words []string) (statement, error) {
	name, _, err := named(words, "NAME")
	if err != nil {
		return nil, err
	}
	return func(w *World, c *scene) error {
		c.cluster = fleet.ClusterName(name)
		_, err := w.CreateCluster(&CreateClusterInput{ClusterName: name})
		return err
	}, nil
}

func readTask(words []string) (statement, error) {
	family, o, err := named(words, "FAMILY", "cpu", "memory", "gpu", "port", "network", "constraint", "arch", "os", "stop-timeout", "run-for", "tag",
		"fails", "image-arch", "health", "retries", "start-period", "unhealthy-after")
	if err != nil {
		return nil, err
	}
	app := ContainerDefinition{
		Name: "app", Image: "registry.example/" + family + ":1", CPU: int64(o.int("cpu", 0)), Memory: int64(o.int("memory", 0)),
		StopTimeout: int(o.duration("stop-timeout", 0).Seconds()),
	}
	if app.Memory == 0 {
		return nil, errors.New("give it memory, such as: task web cpu 256 memory 512")
	}
	if n := o.int("gpu", 0); n > 0 {
		app.ResourceRequirements = []ResourceRequirement{{Type: "GPU", Value: strconv.Itoa(n)}}
	}
	if d := o.duration("run-for", 0); d > 0 {
		app.Environment = []KeyValue{{envRunFor, d.String()}}
	}
	if err := app.behave(o); err != nil {
		return nil, err
	}
	for _, port := range o.values["port"] {
		number, protocol, _ := strings.Cut(port, "/")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > 65535 || protocol != "" && protocol != "tcp" && protocol != "udp" {
			return nil, fmt.Errorf("port %.40q: write it like 8080 or 53/udp", port)
		}
		app.PortMappings = append(app.PortMappings, PortMapping{ContainerPort: n, HostPort: n, Protocol: protocol})
	}
	in := &RegisterTaskDefinitionInput{
		Family: family, NetworkMode: o.text("network", ""), ContainerDefinitions: []ContainerDefinition{app},
		PlacementConstraints: memberOf(o), Tags: tagList(o.pairs("tag")),
	}
	if arch := o.text("arch", ""); arch != "" {
		in.RuntimePlatform = &RuntimePlatform{CPUArchitecture: strings.ToUpper(arch), OperatingSystemFamily: "LINUX"}
	}
	if system := o.text("os", ""); system != "" {
		if in.RuntimePlatform == nil {
			in.RuntimePlatform = &RuntimePlatform{}
		}
		in.RuntimePlatform.OperatingSystemFamily = strings.ToUpper(system)
	}
	if o.err != nil {
		return nil, o.err
	}
	return func(w *World, _ *scene) error {
		_, err := w.RegisterTaskDefinition(in)
		return err
	}, nil
}

func memberOf(o *options) []PlacementConstraint {
	var list []PlacementConstraint
	for _, e := range o.values["constraint"] {
		list = append(list, PlacementConstraint{Type: "memberOf", Expression: e})
	}
	return list
}

func tagList(pairs map[string]string) []Tag {
	var tags []Tag
	for _, k := range sortedKeys(pairs) {
		tags = append(tags, Tag{k, pairs[k]})
	}
	return tags
}

func readService(words []string) (statement, error) {
	name, o, err := named(words, "NAME", "task", "desired", "min", "max", "daemon!", "distinct!", "constraint", "strategy", "subnet", "tag", "provider",
		"balanced!", "grace", "breaker!", "rollback!", "threshold", "rebalancing", "force!")
	if err != nil {
		return nil, err
	}
	in := CreateServiceInput{
		ServiceName: name, TaskDefinition: o.text("task", ""), PlacementConstraints: memberOf(o), Tags: tagList(o.pairs("tag")),
		LaunchType: "EC2", CapacityProviderStrategy: strategyOf(o),
	}
	if o.has("provider") {
		in.LaunchType = ""
	}
	desired, low, high := o.int("desired", 0), o.int("min", 0), o.int("max", 0)
	if o.has("desired") {
		in.DesiredCount = &desired
	}
	if o.has("distinct") {
		in.PlacementConstraints = append(in.PlacementConstraints, PlacementConstraint{Type: "distinctInstance"})
	}
	for _, s := range o.values["strategy"] {
		kind, field, _ := strings.Cut(s, ":")
		in.PlacementStrategy = append(in.PlacementStrategy, PlacementStrategy{Type: kind, Field: field})
	}
	if o.has("min") || o.has("max") {
		in.DeploymentConfiguration = &DeploymentConfiguration{}
		if o.has("min") {
			in.DeploymentConfiguration.MinimumHealthyPercent = &low
		}
		if o.has("max") {
			in.DeploymentConfiguration.MaximumPercent = &high
		}
	}
	if o.has("daemon") {
		in.SchedulingStrategy = strategyDaemon
	}
	if err := in.care(o); err != nil {
		return nil, err
	}
	if subnets := o.values["subnet"]; len(subnets) > 0 {
		in.NetworkConfiguration = &NetworkConfiguration{AwsvpcConfiguration: &AwsvpcConfiguration{Subnets: subnets}}
	}
	if o.err != nil {
		return nil, o.err
	}
	force := o.has("force")
	return func(w *World, c *scene) error { return w.setService(string(c.cluster), in, force) }, nil
}

// setService makes a service or, if there is one of that name, changes it.
func (w *World) setService(cluster string, in CreateServiceInput, force bool) error {
	if _, err := w.service(cluster, in.ServiceName); err == nil {
		_, err := w.UpdateService(&UpdateServiceInput{
			Cluster: cluster, Service: in.ServiceName, DesiredCount: in.DesiredCount, TaskDefinition: in.TaskDefinition,
			DeploymentConfiguration: in.DeploymentConfiguration, NetworkConfiguration: in.NetworkConfiguration,
			CapacityProviderStrategy: in.CapacityProviderStrategy, ForceNewDeployment: force || len(in.CapacityProviderStrategy) > 0,
			AvailabilityZoneRebalancing: in.AvailabilityZoneRebalancing, LoadBalancers: given(in.LoadBalancers),
			PlacementConstraints: given(in.PlacementConstraints), PlacementStrategy: given(in.PlacementStrategy),
		})
		return err
	}
	if in.TaskDefinition == "" {
		return fmt.Errorf("there is no service %s: give it a task to make one", in.ServiceName)
	}
	in.Cluster = cluster
	_, err := w.CreateService(&in)
	return err
}

// given is nil for an empty list: leave it as it is.
func given[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}

func readDelete(words []string) (statement, error) {
	names, rest, err := subject(words, "service", "NAME")
	if err != nil || names[0] != "service" || len(rest) > 0 {
		return nil, errors.New("write: delete service NAME")
	}
	return func(w *World, c *scene) error {
		_, err := w.DeleteService(&DeleteServiceInput{Cluster: string(c.cluster), Service: names[1], Force: true})
		return err
	}, nil
}

func readRun(words []string) (statement, error) {
	family, o, err := named(words, "FAMILY", "count", "for", "provider")
	if err != nil {
		return nil, err
	}
	count, d, strategy := o.int("count", 1), o.duration("for", 0), strategyOf(o)
	if o.err != nil {
		return nil, o.err
	}
	return func(w *World, c *scene) error {
		in := &RunTaskInput{Cluster: string(c.cluster), TaskDefinition: family, CapacityProviderStrategy: strategy}
		if d > 0 {
			in.Overrides = &TaskOverride{ContainerOverrides: []ContainerOverride{{Name: "app", Environment: []KeyValue{{envRunFor, d.String()}}}}}
		}
		for left := count; left > 0; left -= mostRunTasks {
			n := min(left, mostRunTasks)
			in.Count = &n
			if _, err := w.RunTask(in); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func readFinish(words []string) (statement, error) {
	family, o, err := named(words, "FAMILY", "count")
	if err != nil {
		return nil, err
	}
	count := o.int("count", -1)
	return func(w *World, c *scene) error {
		_, err := w.FinishTasks(c.cluster, family, count)
		return err
	}, o.err
}

func readProtect(words []string) (statement, error) {
	name, o, err := named(words, "SERVICE", "count", "for")
	if err != nil {
		return nil, err
	}
	count, d := o.int("count", 1), o.duration("for", usualProtection*time.Minute)
	return func(w *World, c *scene) error {
		_, err := w.ProtectTasks(c.cluster, fleet.ServiceName(name), count, d)
		return err
	}, o.err
}

func readUnprotect(words []string) (statement, error) {
	name, _, err := named(words, "SERVICE")
	return func(w *World, c *scene) error { return w.UnprotectTasks(c.cluster, fleet.ServiceName(name)) }, err
}

func readLaunch(words []string) (statement, error) {
	name, o, err := named(words, "TYPE", "count", "zone", "lifecycle", "attribute", "tag", "image", "set")
	if err != nil {
		return nil, err
	}
	f := Fixture{
		Type: fleet.TypeName(name), Count: o.int("count", 1), Zone: fleet.Zone(o.text("zone", "")),
		Attributes: o.pairs("attribute"), Tags: o.pairs("tag"), Image: o.text("image", ""), Settings: o.pairs("set"),
	}
	if f.Lifecycle, err = lifecycle(o.text("lifecycle", string(fleet.OnDemand))); err != nil {
		return nil, err
	}
	return func(w *World, c *scene) error {
		f.Cluster = c.cluster
		_, err := w.Launch(f)
		return err
	}, o.err
}

// lifecycle reads a lifecycle; "*" is both.
func lifecycle(word string) (fleet.Lifecycle, error) {
	switch l := fleet.Lifecycle(word); l {
	case fleet.Spot, fleet.OnDemand:
		return l, nil
	case "*":
		return "", nil
	}
	return "", fmt.Errorf("%.40q is no lifecycle: use spot, on-demand or *", word)
}

// offerings reads a type, a zone and perhaps a lifecycle.
func offerings(words []string) (names []string, l fleet.Lifecycle, rest []string, err error) {
	names, rest, err = subject(words, "TYPE", "ZONE")
	if err == nil && len(rest) > 0 {
		if known, e := lifecycle(rest[0]); e == nil {
			l, rest = known, rest[1:]
		}
	}
	return names, l, rest, err
}

func readShortage(words []string) (statement, error) {
	names, l, rest, err := offerings(words)
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(rest, "left", "for")
	if err != nil {
		return nil, err
	}
	left, d := o.int("left", 0), o.duration("for", always)
	return func(w *World, _ *scene) error { return w.SetShortage(names[0], names[1], l, left, w.now.Add(d)) }, o.err
}

func readPlenty(words []string) (statement, error) {
	names, l, rest, err := offerings(words)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%.40q is too much", rest[0])
	}
	return func(w *World, _ *scene) error { return w.EndShortage(names[0], names[1], l) }, err
}

func readPrice(words []string) (statement, error) {
	names, rest, err := subject(words, "TYPE", "ZONE", "USD")
	if err != nil {
		return nil, err
	}
	usd, err := strconv.ParseFloat(names[2], 64)
	const most = 1000 // USD per hour
	if err != nil || !(usd >= 0 && usd <= most) || len(rest) > 0 {
		return nil, fmt.Errorf("%.40q is no price: write USD per hour such as 0.05", names[2])
	}
	return func(w *World, _ *scene) error { return w.SetSpotPrice(names[0], names[1], fleet.USD(usd)) }, nil
}

// chosen reads which instances a statement is about: "spot [N]", "oldest [N]" or an ID.
func chosen(words []string, do func(*World, fleet.InstanceID) error) (statement, error) {
	names, rest, err := subject(words, "spot, oldest or an instance ID")
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(names[0], "i-") && len(rest) == 0 {
		return func(w *World, _ *scene) error { return do(w, fleet.InstanceID(names[0])) }, nil
	}
	if names[0] != "spot" && names[0] != "oldest" || len(rest) > 1 {
		return nil, errors.New("write spot or oldest and perhaps a number, or the ID of an instance")
	}
	count := 1
	if len(rest) > 0 {
		if count, err = strconv.Atoi(rest[0]); err != nil || count < 1 {
			return nil, fmt.Errorf("%.40q is no number of instances", rest[0])
		}
	}
	return func(w *World, c *scene) error {
		ids := w.SpotInstances(count)
		if names[0] == "oldest" {
			ids = w.ActiveInstances(c.cluster, count)
		}
		if len(ids) == 0 {
			return fmt.Errorf("there is no %s instance that runs", names[0])
		}
		for _, id := range ids {
			if err := do(w, id); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func readInterrupt(words []string) (statement, error) { return chosen(words, (*World).InterruptSpot) }

func readRebalance(words []string) (statement, error) { return chosen(words, (*World).RebalanceSpot) }

func readDrain(words []string) (statement, error) {
	return chosen(words, func(w *World, id fleet.InstanceID) error { return w.Drain(id) })
}

func readTerminate(words []string) (statement, error) {
	return chosen(words, func(w *World, id fleet.InstanceID) error {
		_, err := w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: []string{string(id)}})
		return err
	})
}

func readDisconnect(words []string) (statement, error) {
	d := time.Duration(0)
	if n := len(words); n > 2 && words[n-2] == "for" {
		var err error
		if d, err = duration(words[n-1]); err != nil {
			return nil, err
		}
		words = words[:n-2]
	}
	return chosen(words, func(w *World, id fleet.InstanceID) error { return w.Disconnect(id, d) })
}

func readImpair(words []string) (statement, error) {
	return chosen(words, (*World).Impair)
}

func readStall(words []string) (statement, error) {
	names, rest, err := subject(words, "N")
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(names[0])
	if err != nil || n < 0 || len(rest) > 0 {
		return nil, fmt.Errorf("%.40q is no number of launches", names[0])
	}
	return func(w *World, _ *scene) error {
		w.StallBoots(n)
		return nil
	}, nil
}
