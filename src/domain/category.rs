use super::{CategoryId, Slug};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// A section of the newspaper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Its name for ever.
    pub id: CategoryId,
    /// Its name in URLs, which may change.
    pub slug: Slug,
    /// Its name for people.
    pub title: String,
    /// The section it is part of.
    pub parent: Option<CategoryId>,
}

/// All sections, and who is part of whom.
#[derive(Clone, Debug, Default)]
pub struct CategoryTree {
    categories: Vec<Category>,
    by_id: HashMap<CategoryId, usize>,
    former: HashMap<Slug, CategoryId>,
}

impl CategoryTree {
    /// Puts the sections in a tree, in the order given.
    pub fn new(categories: Vec<Category>) -> Self {
        let by_id = categories.iter().enumerate().map(|(at, c)| (c.id, at)).collect();
        Self { categories, by_id, former: HashMap::new() }
    }

    /// Notes the slugs that sections had before.
    pub fn with_former(mut self, former: Vec<(Slug, CategoryId)>) -> Self {
        self.former = former.into_iter().collect();
        self
    }

    /// All sections in their order.
    pub fn all(&self) -> &[Category] {
        &self.categories
    }

    /// A section by its id.
    pub fn get(&self, id: CategoryId) -> Option<&Category> {
        self.by_id.get(&id).map(|at| &self.categories[*at])
    }

    /// A section by its slug.
    pub fn by_slug(&self, slug: &Slug) -> Option<&Category> {
        self.categories.iter().find(|c| c.slug == *slug)
    }

    /// The section that had this slug before.
    pub fn former(&self, slug: &Slug) -> Option<&Category> {
        self.get(*self.former.get(slug)?)
    }

    /// The slugs that sections had before, in no order.
    pub fn all_former(&self) -> impl Iterator<Item = (&Slug, CategoryId)> {
        self.former.iter().map(|(slug, id)| (slug, *id))
    }

    /// A section by the slug that it has or had; who has it now comes first.
    pub fn find(&self, slug: &Slug) -> Option<&Category> {
        self.by_slug(slug).or_else(|| self.former(slug))
    }

    /// A section and all that it is part of, nearest first. A cycle, which only a hand in the
    /// database can make, ends the walk.
    pub fn lineage(&self, id: CategoryId) -> Vec<CategoryId> {
        let mut seen = HashSet::new();
        std::iter::successors(Some(id), |id| self.get(*id)?.parent)
            .take_while(|id| seen.insert(*id))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn category(n: u128, parent: Option<u128>) -> Category {
        Category {
            id: CategoryId::new(Uuid::from_u128(n)),
            slug: Slug::parse(&format!("c{n}")).unwrap(),
            title: format!("C{n}"),
            parent: parent.map(|p| CategoryId::new(Uuid::from_u128(p))),
        }
    }

    #[test]
    fn a_former_slug_leads_to_its_section_until_another_has_it() {
        let slug = |text| Slug::parse(text).unwrap();
        let id = |n| CategoryId::new(Uuid::from_u128(n));
        let tree = CategoryTree::new(vec![category(1, None), category(2, None)]).with_former(vec![
            (slug("cu"), id(2)),
            (slug("c1"), id(2)),
            (slug("mat"), id(9)),
        ]);
        assert_eq!(tree.find(&slug("cu")).unwrap().id, id(2));
        assert_eq!(tree.find(&slug("c1")).unwrap().id, id(1));
        assert_eq!(tree.former(&slug("c1")).unwrap().id, id(2));
        assert_eq!(tree.find(&slug("mat")), None);
    }

    #[test]
    fn lineage_climbs_and_survives_a_cycle() {
        let tree = CategoryTree::new(vec![
            category(1, None),
            category(2, Some(1)),
            category(3, Some(4)),
            category(4, Some(3)),
        ]);
        let id = |n| CategoryId::new(Uuid::from_u128(n));
        assert_eq!(tree.lineage(id(2)), [id(2), id(1)]);
        assert_eq!(tree.lineage(id(3)), [id(3), id(4)]);
    }
}
