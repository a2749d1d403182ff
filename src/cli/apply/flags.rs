//! The recipe on the command line.

/// In the words of the configuration.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Recipe, in the words of the configuration")]
pub struct RecipeFlags {
    /// Where the mark lies: one of nine places such as top-left or center, or tile [default:
    /// bottom-right].
    #[arg(long, value_name = "PLACE")]
    position: Option<String>,
    /// Width of the mark: a percentage of the picture's shorter side, or none for its own pixels
    /// [default: 20%].
    #[arg(long, value_name = "PERCENT")]
    scale: Option<String>,
    /// Distance of the mark from the edge: pixels, or a percentage of the shorter side [default: 2%].
    #[arg(long, value_name = "LENGTH")]
    margin: Option<String>,
    /// Opacity of the mark in percent [default: 100].
    #[arg(long, value_name = "PERCENT")]
    opacity: Option<String>,
    /// Degrees by which the mark is turned, counter-clockwise [default: 0].
    #[arg(long, value_name = "DEGREES", allow_hyphen_values = true)]
    rotate: Option<String>,
    /// Between tiles: pixels, or a percentage of the shorter side [default: 0].
    #[arg(long, value_name = "LENGTH")]
    spacing: Option<String>,
    /// Pictures whose shorter side has fewer pixels get no mark [default: 0].
    #[arg(long, value_name = "PIXELS")]
    min_picture: Option<String>,
    /// Height of the result in pixels; the width follows. Without it the size stays.
    #[arg(long, value_name = "PIXELS", visible_alias = "height")]
    output_height: Option<String>,
    /// Enlarge what is smaller than the output height.
    #[arg(long, requires = "output_height")]
    upscale: bool,
    /// JPEG quality that the picture is reduced to before the mark is laid on; 100 leaves it as it is
    /// [default: 100].
    #[arg(long, value_name = "1..100")]
    quality: Option<String>,
    /// JPEG quality of the result [default: 90].
    #[arg(long, value_name = "1..100")]
    output_quality: Option<String>,
    /// Colour resolution of the result: auto, 420 or 444 [default: auto].
    #[arg(long, value_name = "CHROMA")]
    chroma: Option<String>,
    /// What is kept of EXIF, XMP and IPTC: keep, copyright or strip [default: copyright].
    #[arg(long, value_name = "WHAT")]
    metadata: Option<String>,
}

impl RecipeFlags {
    /// The keys that were given, with their values.
    pub fn words(&self) -> Vec<(&'static str, &str)> {
        let given = [
            ("position", &self.position),
            ("scale", &self.scale),
            ("margin", &self.margin),
            ("opacity", &self.opacity),
            ("rotate", &self.rotate),
            ("spacing", &self.spacing),
            ("min_picture", &self.min_picture),
            ("output_height", &self.output_height),
            ("quality", &self.quality),
            ("output_quality", &self.output_quality),
            ("chroma", &self.chroma),
            ("metadata", &self.metadata),
        ];
        let given = given.into_iter();
        let mut words: Vec<_> = given
            .filter_map(|(key, word)| Some((key, word.as_deref()?)))
            .collect();
        words.extend(self.upscale.then_some(("upscale", "true")));
        words
    }
}
