"""Six phantoms to look at, one for each answer Seashore gives, and both kinds of probe."""

from dataclasses import replace

from training.phantom.spec import BLine, Obstruction, PhantomSpec, Rib

_CONVEX = PhantomSpec(duration_s=4.0, slide_mm=9.0, breaths_per_min=18.0, breath_phase=0.95, lung_pulse_mm=0.2)

_LINEAR = PhantomSpec(
    probe="linear",
    duration_s=4.0,
    depth_mm=45.0,
    aperture_mm=42.0,
    mm_per_px=0.1,
    skin_mm=1.4,
    fat_mm=4.0,
    muscle_mm=6.0,
    fibre_length_mm=6.0,
    pleura_depth_mm=17.0,
    pleura_tilt_deg=1.5,
    pleura_sag_mm=0.6,
    pleura_thickness_mm=0.6,
    axial_psf_mm=0.3,
    lateral_psf_mm=0.6,
    haze_decay_db_per_cm=5.0,
    noise_rise_db_per_cm=1.5,
    edge_loss_db=4.0,
    ribs=(Rib(-17.0, 5.0, 11.0),),
    slide_mm=6.0,
    breaths_per_min=18.0,
    breath_phase=0.95,
    wall_lateral_mm=0.5,
    wall_axial_mm=0.4,
    drift_mm=0.4,
)

PRESETS: dict[str, PhantomSpec] = {
    "present": replace(_CONVEX, b_lines=(BLine(6.0, 1.6, -17.0),)),
    "absent": replace(_CONVEX, slide_mm=0.0, lung_pulse_mm=0.0, num_a_lines=3, a_line_db=-17.0),
    "lung_point": replace(
        _CONVEX, lung_pulse_mm=0.0, lung_point_mm=2.0, lung_point_travel_mm=2.0, ribs=(Rib(-34.0, 7.0, 15.0), Rib(34.0, 7.0, 15.0))
    ),
    "not_assessable": replace(_CONVEX, obstruction=Obstruction.EMPHYSEMA, ribs=(), slide_mm=0.0, lung_pulse_mm=0.0),
    "linear_present": _LINEAR,
    "linear_absent": replace(_LINEAR, slide_mm=0.0, a_line_db=-17.0),
}
"""Name -> spec. All are 640x480, 4 s at 30 fps."""
