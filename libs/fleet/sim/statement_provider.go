package sim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// readGroup reads an auto scaling group whose instances join the cluster. There is one
// subnet in each zone unless told; several types make a mixed instances policy, spot is
// the percentage of spot instances; protected is scale-in protection for new instances.
//
//	group NAME type TYPE… [min N] [max N] [desired N] [zone ZONE]… [spot PERCENT] [protected] [attribute KEY=VALUE]… [tag KEY=VALUE]…
//	group web type m7i.large type m6i.large max 20 spot 50
func readGroup(words []string) (statement, error) {
	name, o, err := named(words, "NAME", "type", "min", "max", "desired", "zone", "spot", "protected!", "attribute", "tag")
	if err != nil {
		return nil, err
	}
	types := o.values["type"]
	if len(types) == 0 {
		return nil, errors.New("give it a type, such as: group web type m7i.large max 10")
	}
	least, most, spot := o.int("min", 0), o.int("max", 100), o.int("spot", 0)
	desired := o.int("desired", least)
	attributes, tags := o.pairs("attribute"), o.pairs("tag")
	if o.err != nil {
		return nil, o.err
	}
	in := &CreateAutoScalingGroupInput{
		AutoScalingGroupName: name, MinSize: &least, MaxSize: &most, DesiredCapacity: &desired,
		AvailabilityZones: Members[string]{o.values["zone"]}, NewInstancesProtectedFromScaleIn: o.has("protected"),
	}
	for _, k := range sortedKeys(tags) {
		in.Tags.Member = append(in.Tags.Member, AutoScalingTag{Key: k, Value: tags[k], PropagateAtLaunch: true})
	}
	return func(w *World, c *scene) error {
		spec := AutoScalingTemplate{LaunchTemplateName: "group-" + name}
		if err := w.groupTemplate(spec.LaunchTemplateName, types[0], string(c.cluster), attributes); err != nil {
			return err
		}
		in := *in
		if len(in.AvailabilityZones.Member) == 0 {
			for _, z := range w.cfg.Zones {
				in.AvailabilityZones.Member = append(in.AvailabilityZones.Member, z.Name)
			}
		}
		in.LaunchTemplate = &spec
		if len(types) > 1 || spot > 0 {
			onDemand := 100 - min(spot, 100)
			in.LaunchTemplate, in.MixedInstancesPolicy = nil, &MixedInstancesPolicy{
				LaunchTemplate: &MixedTemplate{LaunchTemplateSpecification: &spec},
				InstancesDistribution: &InstancesDistribution{
					OnDemandPercentageAboveBaseCapacity: &onDemand, SpotAllocationStrategy: "price-capacity-optimized",
				},
			}
			for _, t := range types {
				over := &in.MixedInstancesPolicy.LaunchTemplate.Overrides
				over.Member = append(over.Member, MixedType{InstanceType: t})
			}
		}
		_, err := w.CreateAutoScalingGroup(&in)
		return err
	}, nil
}

// groupTemplate makes a launch template whose instances join a cluster.
func (w *World) groupTemplate(name, typ, cluster string, attributes map[string]string) error {
	t := w.typeNamed[typ]
	if t == nil {
		return fmt.Errorf("there is no instance type %q", typ)
	}
	image := "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
	if t.arm {
		image = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
	}
	var pairs []string
	for _, k := range sortedKeys(attributes) {
		pairs = append(pairs, fmt.Sprintf("%q:%q", k, attributes[k]))
	}
	userData := "#!/bin/bash\ncat <<'EOF' >> /etc/ecs/ecs.config\nECS_CLUSTER=" + cluster +
		"\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\nECS_INSTANCE_ATTRIBUTES={" + strings.Join(pairs, ",") + "}\nEOF\n"
	_, err := w.CreateLaunchTemplate(&CreateLaunchTemplateInput{LaunchTemplateName: name, LaunchTemplateData: RequestLaunchTemplateData{
		ImageID: image, InstanceType: typ, UserData: base64.StdEncoding.EncodeToString([]byte(userData)),
	}})
	return err
}

// readProvider reads a capacity provider of an auto scaling group, which the cluster gets.
// managed is managed scaling (target is its percentage, step-min and step-max its scaling
// steps, warm-up its instance warm-up period); protected is managed termination
// protection; undrained switches managed draining off.
//
//	provider NAME group GROUP [managed] [target PERCENT] [step-min N] [step-max N] [warm-up D] [protected] [undrained]
//	provider asg group web managed target 90
func readProvider(words []string) (statement, error) {
	name, o, err := named(words, "NAME", "group", "managed!", "target", "step-min", "step-max", "warm-up", "protected!", "undrained!")
	if err != nil {
		return nil, err
	}
	if !o.has("group") {
		return nil, errors.New("give it an auto scaling group, such as: provider asg group web managed")
	}
	warm := int(o.duration("warm-up", 0).Seconds())
	settings := &AutoScalingGroupProvider{AutoScalingGroupArn: o.text("group", ""), ManagedScaling: &ManagedScaling{
		Status: settingOff, TargetCapacity: o.int("target", 0), MinimumScalingStepSize: o.int("step-min", 0), MaximumScalingStepSize: o.int("step-max", 0),
	}}
	if o.has("warm-up") {
		settings.ManagedScaling.InstanceWarmupPeriod = &warm
	}
	if o.has("managed") {
		settings.ManagedScaling.Status = settingOn
	}
	if o.has("protected") {
		settings.ManagedTerminationProtection = settingOn
	}
	if o.has("undrained") {
		settings.ManagedDraining = settingOff
	}
	if o.err != nil {
		return nil, o.err
	}
	return func(w *World, c *scene) error {
		if _, err := w.CreateCapacityProvider(&CreateCapacityProviderInput{Name: name, AutoScalingGroupProvider: settings}); err != nil {
			return err
		}
		known, err := w.cluster(string(c.cluster))
		if err != nil {
			return err
		}
		_, err = w.PutClusterCapacityProviders(&PutClusterCapacityProvidersInput{
			Cluster: known.name, CapacityProviders: append(append([]string{}, known.providers...), name), DefaultCapacityProviderStrategy: known.strategy,
		})
		return err
	}, nil
}

// readCapacity reads the desired capacity of an auto scaling group.
//
//	capacity GROUP N
//	capacity web 5
func readCapacity(words []string) (statement, error) {
	names, rest, err := subject(words, "GROUP", "N")
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(names[1])
	if err != nil || n < 0 || len(rest) > 0 {
		return nil, fmt.Errorf("%.40q is no number of instances", names[1])
	}
	return func(w *World, _ *scene) error {
		_, err := w.SetDesiredCapacity(&SetDesiredCapacityInput{AutoScalingGroupName: names[0], DesiredCapacity: &n})
		return err
	}, nil
}

// strategyOf reads the provider options of a service or a run: NAME[:WEIGHT[:BASE]].
func strategyOf(o *options) []CapacityProviderStrategyItem {
	var list []CapacityProviderStrategyItem
	for _, text := range o.values["provider"] {
		parts := strings.Split(text, ":")
		item := CapacityProviderStrategyItem{CapacityProvider: parts[0], Weight: 1}
		var err error
		if len(parts) > 1 {
			item.Weight, err = strconv.Atoi(parts[1])
		}
		if len(parts) > 2 && err == nil {
			item.Base, err = strconv.Atoi(parts[2])
		}
		if (err != nil || len(parts) > 3) && o.err == nil {
			o.err = fmt.Errorf("provider %.60q: write it NAME, NAME:WEIGHT or NAME:WEIGHT:BASE", text)
		}
		list = append(list, item)
	}
	return list
}
